//! HPACK (RFC 7541), as a passive reader needs it. What comes in: whole field blocks of one direction of a
//! connection, in order, and word of those that were lost. What goes out: [`List`]s. There is no error:
//!
//! - An index into a part of the dynamic table that was never seen (joined late, lost block, own limit) gives
//!   a field that is marked `LineFaults::UNKNOWN`; the fields around it are right.
//! - Behind a lost block all older entries of the table may stand elsewhere: what is taken from them is marked
//!   `LineFaults::POSSIBLE`. What is inserted later is certain again.
//! - A string that is wrongly coded gives a field marked `LineFaults::BAD_CODING`; decoding goes on. Only where
//!   nobody can say where the next field begins does the list end, not `complete`, and the table is no longer
//!   certain.
//!
//! Bounds: `limits::HPACK_TABLE_BYTES`, `HPACK_LIST_BYTES`, `HPACK_STRING_BYTES`, `HEAD_FIELDS`. A field costs
//! no allocation once the list and the table have grown; a block of references costs a few instructions for
//! each of its bytes, however large what they refer to is.

pub mod huffman;
pub mod integer;
mod list;
mod static_table;
mod table;

pub use list::{List, START};

use crate::base::limits;
use crate::model::LineFaults;

use table::{Found, Table};

/// SETTINGS_HEADER_TABLE_SIZE where nothing else was said (RFC 9113 §6.5.2), in bytes.
pub const DEFAULT_TABLE_BYTES: u32 = 4_096;

/// Decodes one direction's field blocks.
pub struct Decoder {
    table: Table,
    /// The largest table that the peer allows. `None`: not known, any is taken.
    allowed: Option<u32>,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// A string literal, or a name that is referred to.
#[derive(Clone, Copy, Default)]
struct Text {
    faults: LineFaults,
}

impl Decoder {
    /// From the first block of a connection on.
    pub fn new() -> Self {
        Decoder::with(Table::new(DEFAULT_TABLE_BYTES, false), Some(DEFAULT_TABLE_BYTES))
    }

    /// Joins a connection that runs already.
    pub fn midstream() -> Self {
        Decoder::with(Table::new(DEFAULT_TABLE_BYTES, true), None)
    }

    fn with(table: Table, allowed: Option<u32>) -> Self {
        Decoder { table, allowed, name: Vec::new(), value: Vec::new() }
    }

    /// The receiver of these blocks announced this SETTINGS_HEADER_TABLE_SIZE, in bytes.
    pub fn allow(&mut self, bytes: u32) {
        // Until it is acknowledged, the encoder may still use what was allowed before.
        self.allowed = self.allowed.map(|before| before.max(bytes));
    }

    /// A block, or part of one, is not there.
    pub fn lost(&mut self) {
        self.table.lost();
        self.allowed = None;
    }

    /// Size of the dynamic table in bytes, as RFC 7541 §4.1 counts, and its entries.
    pub fn table_size(&self) -> (u64, usize) {
        (self.table.size(), self.table.len())
    }

    /// Decodes one block into the list, which is emptied first.
    pub fn decode(&mut self, block: &[u8], list: &mut List) {
        list.begin();
        let mut rest = block;
        let mut fields = false;
        while let Some(&first) = rest.first() {
            let next = match first {
                0x80.. => self.indexed(rest, list),
                0x40.. => self.literal(rest, 6, true, list),
                0x20.. => self.resize(rest, fields, list),
                // Without indexing, or never indexed (RFC 7541 §6.2.2, §6.2.3).
                _ => self.literal(rest, 4, false, list),
            };
            fields |= !(0x20..0x40).contains(&first);
            let Some(next) = next else {
                list.faults.add(LineFaults::BAD_CODING);
                self.lost();
                return;
            };
            rest = next;
        }
        list.complete = !list.faults.has(LineFaults(LineFaults::TOO_LARGE.0 | LineFaults::TOO_MANY.0));
    }

    /// An indexed field (RFC 7541 §6.1). Returns what follows; `None`: nobody can say where that is.
    fn indexed<'a>(&mut self, rest: &'a [u8], list: &mut List) -> Option<&'a [u8]> {
        let (index, rest) = integer::decode(rest, 7).ok()?;
        let index = index as usize;
        if let Some((name, value)) = static_table::entry(index) {
            let put = |bytes: &'static [u8]| move |out: &mut Vec<u8>| out.extend_from_slice(bytes);
            list.add(name.len() + value.len(), LineFaults::NONE, put(name), put(value));
            return Some(rest);
        }
        match self.dynamic(index) {
            Ok(found) => {
                let (name, value) =
                    (|out: &mut _| self.table.name(&found, out), |out: &mut _| self.table.value(&found, out));
                list.add(found.len(), found.faults, name, value);
            }
            Err(faults) => {
                list.add(0, faults, |_| {}, |_| {});
            }
        }
        Some(rest)
    }

    /// A literal field (RFC 7541 §6.2).
    fn literal<'a>(&mut self, rest: &'a [u8], prefix: u32, insert: bool, list: &mut List) -> Option<&'a [u8]> {
        let (index, rest) = integer::decode(rest, prefix).ok()?;
        self.name.clear();
        self.value.clear();
        let (name, rest) = match index {
            0 => string(rest, &mut self.name)?,
            _ => (self.name_of(index as usize), rest),
        };
        let (value, rest) = string(rest, &mut self.value)?;
        let mut faults = name.faults;
        faults.add(value.faults);
        let put = |bytes: &Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(bytes);
        let length = self.name.len().saturating_add(self.value.len());
        list.add(length, faults, |out| put(&self.name, out), |out| put(&self.value, out));
        if insert {
            self.table.insert(&self.name, &self.value, faults);
        }
        Some(rest)
    }

    /// A dynamic table size update (RFC 7541 §6.3), right only before the first field (§4.2).
    fn resize<'a>(&mut self, rest: &'a [u8], late: bool, list: &mut List) -> Option<&'a [u8]> {
        let (size, rest) = integer::decode(rest, 5).ok()?;
        if late || self.allowed.is_some_and(|allowed| size > allowed) {
            list.faults.add(LineFaults::BAD_CODING);
        }
        self.table.resize(size);
        Some(rest)
    }

    /// Puts the name at this index into `self.name`.
    fn name_of(&mut self, index: usize) -> Text {
        if let Some((name, _)) = static_table::entry(index) {
            self.name.extend_from_slice(name);
            return Text::default();
        }
        let faults = match self.dynamic(index) {
            Ok(found) => {
                self.table.name(&found, &mut self.name);
                // A name that is there is known, whatever became of its value.
                if self.name.is_empty() { found.faults } else { LineFaults(found.faults.0 & LineFaults::POSSIBLE.0) }
            }
            Err(faults) => faults,
        };
        Text { faults }
    }

    fn dynamic(&self, index: usize) -> Result<Found, LineFaults> {
        let found = index.checked_sub(static_table::LEN + 1).and_then(|place| self.table.get(place));
        found.ok_or({
            // RFC 7541 §2.3.3: an index beyond both tables is an error, if all entries were seen.
            if index != 0 && self.table.has_unseen() {
                LineFaults::UNKNOWN
            } else {
                LineFaults(LineFaults::UNKNOWN.0 | LineFaults::BAD_CODING.0)
            }
        })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder::new()
    }
}

/// A string literal (RFC 7541 §5.2), appended to `out`, and the bytes behind it. `None`: its end is not known.
fn string<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> Option<(Text, &'a [u8])> {
    let huffman = bytes.first()? & 0x80 != 0;
    let (length, rest) = integer::decode(bytes, 7).ok()?;
    let (coded, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let most = limits::HPACK_STRING_BYTES;
    let mut faults = LineFaults::NONE;
    let from = out.len();
    if huffman {
        match huffman::decode(coded, out, most) {
            Ok(()) => {}
            Err(huffman::Fault::TooLong) => faults.add(LineFaults::UNKNOWN),
            Err(huffman::Fault::Eos | huffman::Fault::Padding) => {
                faults.add(LineFaults(LineFaults::BAD_CODING.0 | LineFaults::UNKNOWN.0));
            }
        }
    } else if coded.len() > most {
        faults.add(LineFaults::UNKNOWN);
    } else {
        out.extend_from_slice(coded);
    }
    if !faults.is_empty() {
        out.truncate(from);
    }
    Some((Text { faults }, rest))
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; its numbers are small"
)]
pub(super) mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    pub(in crate::wire::hpack) fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn fields(list: &List) -> Fields {
        list.fields.iter().map(|f| (list.bytes(&f.name).to_vec(), list.bytes(&f.value).to_vec())).collect()
    }

    fn words(text: &str) -> Fields {
        let word = |text: &str| text.as_bytes().to_vec();
        let split =
            |line: &str| line[1..].split_once(": ").map(|(name, value)| (word(&line[..1 + name.len()]), word(value)));
        text.lines().filter_map(split).collect()
    }

    fn decode(decoder: &mut Decoder, block: &[u8]) -> List {
        let mut list = List::default();
        decoder.decode(block, &mut list);
        list
    }

    #[track_caller]
    fn each(decoder: &mut Decoder, blocks: &[(&str, &str, u64)]) {
        for (block, expected, size) in blocks {
            let list = decode(decoder, &hex(block));
            assert_eq!(fields(&list), words(expected), "{block}");
            assert!(list.complete && list.faults.is_empty(), "{block}");
            assert_eq!(decoder.table_size().0, *size, "{block}");
        }
    }

    #[test]
    fn each_representation_of_the_specification_decodes() {
        // RFC 7541 C.2.
        for (block, expected, size) in [
            ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key: custom-header", 55),
            ("040c2f73616d706c652f70617468", ":path: /sample/path", 0),
            ("100870617373776f726406736563726574", "password: secret", 0),
            ("82", ":method: GET", 0),
        ] {
            let mut decoder = Decoder::new();
            assert_eq!(fields(&decode(&mut decoder, &hex(block))), words(expected));
            assert_eq!(decoder.table_size().0, size);
        }
    }

    const FIRST: &str = ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com";
    const SECOND: &str = ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache";
    const THIRD: &str =
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value";

    #[test]
    fn the_requests_of_the_specification_decode() {
        // RFC 7541 C.3.
        each(
            &mut Decoder::new(),
            &[
                ("828684410f7777772e6578616d706c652e636f6d", FIRST, 57),
                ("828684be58086e6f2d6361636865", SECOND, 110),
                ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", THIRD, 164),
            ],
        );
    }

    #[test]
    fn the_huffman_coded_requests_of_the_specification_decode() {
        // RFC 7541 C.4.
        each(
            &mut Decoder::new(),
            &[
                ("828684418cf1e3c2e5f23a6ba0ab90f4ff", FIRST, 57),
                ("828684be5886a8eb10649cbf", SECOND, 110),
                ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", THIRD, 164),
            ],
        );
    }

    const ANSWER: &str =
        "cache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com";

    fn answers() -> [String; 3] {
        let coded = "cache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com";
        let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        [
            format!(":status: 302\n{ANSWER}"),
            format!(":status: 307\n{ANSWER}"),
            format!(":status: 200\n{coded}\ncontent-encoding: gzip\nset-cookie: {cookie}"),
        ]
    }

    fn small_table() -> Decoder {
        let mut decoder = Decoder::new();
        // An update to 256 bytes, as the examples suppose.
        assert!(decode(&mut decoder, &hex("3fe101")).complete);
        decoder
    }

    #[test]
    fn the_responses_of_the_specification_decode_and_evict() {
        // RFC 7541 C.5.
        let [first, second, third] = answers();
        let one = "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54\
                   6e1768747470733a2f2f7777772e6578616d706c652e636f6d";
        let three = "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738\
                     666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b\
                     2076657273696f6e3d31";
        each(&mut small_table(), &[(one, &first, 222), ("4803333037c1c0bf", &second, 222), (three, &third, 215)]);
    }

    #[test]
    fn the_huffman_coded_responses_of_the_specification_decode_and_evict() {
        // RFC 7541 C.6.
        let [first, second, third] = answers();
        let one = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae\
                   82ae43d3";
        let three = "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b39\
                     60d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007";
        each(&mut small_table(), &[(one, &first, 222), ("4883640effc1c0bf", &second, 222), (three, &third, 215)]);
    }

    #[test]
    fn who_joins_late_knows_what_is_literal_and_marks_the_rest() {
        let mut decoder = Decoder::midstream();
        // Two of the static table, one never seen, a literal with a name never seen, one inserted, one just inserted.
        let list = decode(&mut decoder, &hex("8287c07f0001614001780179be"));
        let expected: &[(&[u8], &[u8])] =
            &[(b":method", b"GET"), (b":scheme", b"https"), (b"", b""), (b"", b"a"), (b"x", b"y"), (b"x", b"y")];
        let found = fields(&list);
        assert_eq!(found.iter().map(|(n, v)| (&n[..], &v[..])).collect::<Vec<_>>(), expected);
        let unknown: Vec<bool> = list.fields.iter().map(|f| f.faults.has(LineFaults::UNKNOWN)).collect();
        assert_eq!(unknown, [false, false, true, true, false, false]);
        assert!(list.complete && !list.faults.has(LineFaults::BAD_CODING));
        // The second newest entry is the one whose name nobody knows.
        assert_eq!(fields(&decode(&mut decoder, &hex("bf"))), [(vec![], b"a".to_vec())]);
    }

    #[test]
    fn an_index_that_cannot_be_is_told_apart_from_one_that_was_not_seen() {
        for block in ["80", "be", "ff00"] {
            let list = decode(&mut Decoder::new(), &hex(block));
            assert!(list.faults.has(LineFaults::BAD_CODING), "{block}");
            assert_eq!(list.fields.len(), 1, "{block}");
        }
        assert!(!decode(&mut Decoder::midstream(), &hex("be")).faults.has(LineFaults::BAD_CODING));
        assert!(decode(&mut Decoder::midstream(), &hex("80")).faults.has(LineFaults::BAD_CODING));
    }

    #[test]
    fn behind_a_lost_block_older_entries_are_only_possible() {
        let mut decoder = Decoder::new();
        decode(&mut decoder, &hex("4001780179"));
        decoder.lost();
        let list = decode(&mut decoder, &hex("be40017a0177bebf"));
        assert_eq!(fields(&list), words("x: y\nz: w\nz: w\nx: y"));
        let possible: Vec<bool> = list.fields.iter().map(|f| f.faults.has(LineFaults::POSSIBLE)).collect();
        assert_eq!(possible, [true, false, false, true]);
        // What takes its name from a possible entry is no more certain.
        let list = decode(&mut decoder, &hex("7f000161be"));
        assert!(list.fields.iter().all(|f| f.faults.has(LineFaults::POSSIBLE)), "{list:?}");
        // An emptied table is known again.
        assert!(decode(&mut decoder, &hex("203fe11f")).complete);
        assert!(decode(&mut decoder, &hex("be")).faults.has(LineFaults::BAD_CODING));
    }

    #[test]
    fn a_string_that_is_wrongly_coded_costs_that_field_alone() {
        // A value of one byte of zeros, in Huffman code; then one that is right.
        let list = decode(&mut Decoder::new(), &hex("0001788100824001780179"));
        assert_eq!(fields(&list), words("x: \n:method: GET\nx: y"));
        let bad: Vec<bool> = list.fields.iter().map(|f| f.faults.has(LineFaults::BAD_CODING)).collect();
        assert_eq!(bad, [true, false, false]);
        assert!(list.complete);
    }

    #[test]
    fn a_block_whose_rest_nobody_can_read_ends_its_list_there() {
        for block in ["827f", "8240", "824001", "82400178", "8240017805", "827fffffffffffff", "3fffffffffff7f"] {
            let mut decoder = Decoder::new();
            let list = decode(&mut decoder, &hex(block));
            assert!(!list.complete && list.faults.has(LineFaults::BAD_CODING), "{block}");
            assert_eq!(list.fields.len(), usize::from(block.starts_with("82")), "{block}");
        }
    }

    #[test]
    fn table_sizes_are_updated_before_fields_and_within_what_is_allowed() {
        assert!(decode(&mut Decoder::new(), &hex("3fe12082")).faults.has(LineFaults::BAD_CODING));
        let mut decoder = Decoder::new();
        decoder.allow(8_192);
        assert!(decode(&mut decoder, &hex("3fe13f82")).faults.is_empty());
        assert!(decode(&mut decoder, &hex("8220")).faults.has(LineFaults::BAD_CODING));
    }

    /// A block of references to one entry as large as the table allows.
    #[test]
    fn a_bomb_is_cut_at_the_limit_and_costs_no_time() {
        let mut decoder = Decoder::new();
        let mut block = vec![0x40, 1, b'x', 0x7f];
        block.extend([0x81, 0x1e]); // 127 + 1 + 30 * 128: 3,968 bytes
        block.extend(vec![b'y'; 3_968]);
        block.extend(vec![0xbe; 1 << 20]);
        let list = decode(&mut decoder, &block);
        assert!(list.faults.has(LineFaults::TOO_LARGE) && !list.complete);
        assert!(list.text.len() <= limits::HPACK_LIST_BYTES);
        assert_eq!(list.fields.len() + list.left_out as usize, 1 + (1 << 20));
        assert!(list.text.capacity() <= 2 * limits::HPACK_LIST_BYTES);

        let list = decode(&mut Decoder::new(), &vec![0x82; 1 << 20]);
        assert!(list.faults.has(LineFaults::TOO_MANY));
        assert_eq!(list.fields.len(), limits::HEAD_FIELDS);
    }

    #[test]
    fn a_table_larger_than_is_kept_loses_its_oldest_entries_and_no_place() {
        let mut decoder = Decoder::new();
        decoder.allow(1 << 20);
        decode(&mut decoder, &hex("3fe1ff3f"));
        let size = 1_000;
        for n in 0..200_u32 {
            let mut block = vec![0x40, 4];
            block.extend(n.to_be_bytes());
            block.extend([0x7f, 0xe9, 0x06]); // 127 + 105 + 6 * 128: 1,000
            block.extend(vec![b'v'; size]);
            assert!(decode(&mut decoder, &block).complete);
        }
        assert!(decoder.table_size().0 <= limits::HPACK_TABLE_BYTES as u64);
        let newest = decode(&mut decoder, &hex("be"));
        assert_eq!(fields(&newest)[0].0, 199_u32.to_be_bytes());
        // 127 + 60: entry 126, which the encoder still has.
        let old = decode(&mut decoder, &hex("ff3c"));
        assert!(old.faults.has(LineFaults::UNKNOWN) && !old.faults.has(LineFaults::BAD_CODING));
    }

    /// A field and how to send it: as it stands in the table if it does, literal with or without indexing.
    fn sent() -> impl Strategy<Value = Vec<(u8, u8, Vec<u8>, bool)>> {
        vec((0..4_u8, 0..12_u8, vec(any::<u8>(), 0..40), any::<bool>()), 0..20)
    }

    fn literal(out: &mut Vec<u8>, text: &[u8], huffman: bool) {
        let coded = if huffman { huffman::tests::encode(text) } else { text.to_vec() };
        let flag = if huffman { 0x80 } else { 0 };
        if coded.len() < 127 {
            out.push(flag | coded.len() as u8);
        } else {
            out.extend([flag | 127, (coded.len() - 127) as u8]);
        }
        out.extend(coded);
    }

    fn block(sent: &[(u8, u8, Vec<u8>, bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (how, name, value, huffman) in sent {
            match how {
                0 => out.push(0x80 | (1 + name)),
                1 => out.push(0x80 | (62 + name)),
                2 => {
                    out.push(0x40 | if *name < 6 { 56 + name } else { 0 });
                    if *name >= 6 {
                        literal(&mut out, &[b'a' + name], *huffman);
                    }
                    literal(&mut out, value, *huffman);
                }
                _ => {
                    out.push(0);
                    literal(&mut out, value, *huffman);
                    literal(&mut out, value, !*huffman);
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn what_another_decoder_reads_is_read_alike(blocks in vec(sent(), 1..6)) {
            let (mut ours, mut theirs) = (Decoder::new(), loona_hpack::Decoder::new());
            for sent in &blocks {
                let block = block(sent);
                let list = decode(&mut ours, &block);
                match theirs.decode(&block) {
                    Ok(expected) => {
                        prop_assert!(list.complete && list.faults.is_empty(), "{:?}", list.faults);
                        prop_assert_eq!(fields(&list), expected);
                    }
                    Err(_) => {
                        prop_assert!(list.faults.has(LineFaults::BAD_CODING));
                        break;
                    }
                }
            }
        }

        #[test]
        fn what_another_encoder_writes_is_read_back(lists in vec(vec((vec(b'a'..b'f', 1..4), vec(any::<u8>(), 0..60)), 0..12), 1..8)) {
            let (mut ours, mut theirs) = (Decoder::new(), loona_hpack::Encoder::new());
            for sent in &lists {
                let block = theirs.encode(sent.iter().map(|(n, v)| (&n[..], &v[..])));
                let list = decode(&mut ours, &block);
                prop_assert_eq!(&fields(&list), sent);
                prop_assert!(list.complete);
            }
        }

        #[test]
        fn any_bytes_are_read_within_the_limits_and_as_another_reads_them(blocks in vec(vec(any::<u8>(), 0..80), 1..5)) {
            let (mut ours, mut theirs) = (Decoder::new(), Some(loona_hpack::Decoder::new()));
            let mut late = Decoder::midstream();
            for block in &blocks {
                let list = decode(&mut ours, block);
                for f in &list.fields {
                    prop_assert!(f.name.start <= f.name.end && f.value.end as usize <= list.text.len());
                }
                prop_assert!(decode(&mut late, block).text.len() <= limits::HPACK_LIST_BYTES);
                let Some(decoder) = &mut theirs else { continue };
                match decoder.decode(block) {
                    Ok(expected) if list.faults.is_empty() => prop_assert_eq!(fields(&list), expected),
                    // It takes sizes that nobody allowed, anywhere.
                    Ok(_) => prop_assert!(list.faults.has(LineFaults::BAD_CODING)),
                    Err(_) => {
                        // It wants a field behind an update.
                        prop_assert!(list.faults.has(LineFaults::BAD_CODING) || list.fields.is_empty());
                        theirs = None;
                    }
                }
            }
        }

        #[test]
        fn strings_come_through_the_huffman_code(text in vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            prop_assert_eq!(huffman::decode(&huffman::tests::encode(&text), &mut out, 300), Ok(()));
            prop_assert_eq!(out, text);
        }
    }
}
