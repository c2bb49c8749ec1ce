//! Compresses captures, with the encoders of the crates whose decoders the program uses.

use std::io::Write as _;

/// Name as the report has it, file extension, and how.
pub(crate) type Packer = (&'static str, &'static str, fn(&[u8]) -> Vec<u8>);

pub(crate) const PACKERS: [Packer; 4] =
    [("gzip", "gz", gzip), ("zstd", "zst", zstd), ("lz4", "lz4", lz4), ("xz", "xz", xz)];

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 0).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As several members, cut in the middle of packets.
pub(crate) fn members(pack: fn(&[u8]) -> Vec<u8>, bytes: &[u8], count: usize) -> Vec<u8> {
    bytes.chunks(bytes.len() / count + 1).flat_map(pack).collect()
}
