//! Steps of scenes in HTTP/2, in words: `preface` · `settings 8=1` · `headers 1; :status: 200` · `data 1; text hello` ·
//! `data 1; close 1000` · `data 1` · `reset 1 8` · `goaway 1 0`. Behind a stream's number, `end` sets END_STREAM.

use super::h2::{DATA, END_STREAM, GOAWAY, PREFACE, RST_STREAM, frame, headers, settings};
use super::script::{self, Script, Side};

/// Plays frames that one side sends, all in one segment.
pub(crate) fn play(script: Script, from: Side, frames: &[String]) -> Script {
    let bytes: Vec<u8> = frames.iter().flat_map(|words| bytes(words, from == Side::Client)).collect();
    script.say(from, &bytes)
}

/// What a server's 200 grants on this stream: a message each way and the closing handshake.
pub(crate) fn granted(script: Script, stream: u32) -> Script {
    let of = |words: &str| vec![words.replace('#', &stream.to_string())];
    let script = play(script, Side::Server, &of("headers #; :status: 200"));
    let script = play(script, Side::Client, &of("data #; text hello"));
    let script = play(script, Side::Server, &of("data #; text welcome"));
    let script = play(script, Side::Client, &of("data #; close 1000"));
    let script = play(script, Side::Server, &of("data # end; close 1000"));
    play(script, Side::Client, &of("data # end"))
}

fn bytes(words: &str, client: bool) -> Vec<u8> {
    let (front, rest) = words.split_once("; ").unwrap_or((words, ""));
    let mut front = front.split(' ');
    let kind = front.next().expect("a kind of frame");
    let numbers: Vec<&str> = front.collect();
    let number = |at: usize| numbers[at].parse::<u32>().unwrap_or_else(|_| panic!("{words:?}: a number"));
    let end = if numbers.last() == Some(&"end") { END_STREAM } else { 0 };
    match kind {
        "preface" => PREFACE.to_vec(),
        "settings" => {
            let pairs: Vec<(u16, u32)> = numbers
                .iter()
                .map(|pair| pair.split_once('=').expect("a parameter and its value"))
                .map(|(id, value)| (id.parse().expect("a number"), value.parse().expect("a number")))
                .collect();
            settings(&pairs)
        }
        "headers" => {
            // A pseudo-field's name begins with a colon.
            let fields: Vec<(&str, &str)> = rest
                .split("; ")
                .map(|field| field.split_at(1 + field[1..].find(": ").expect("a name and a value")))
                .map(|(name, value)| (name, &value[2..]))
                .collect();
            headers(end, number(0), &fields)
        }
        "data" => {
            let payload = match rest.split_once(' ') {
                None => Vec::new(),
                Some(("text", text)) => script::frame(1, text.as_bytes(), client),
                Some(("close", code)) => script::frame(8, &code.parse::<u16>().expect("a code").to_be_bytes(), client),
                Some(_) => panic!("{words:?}: text or close"),
            };
            frame(DATA, end, number(0), &payload)
        }
        "reset" => frame(RST_STREAM, 0, number(0), &number(1).to_be_bytes()),
        "goaway" => frame(GOAWAY, 0, 0, &[number(0).to_be_bytes(), number(1).to_be_bytes()].concat()),
        _ => panic!("{words:?}: no frame of a scene"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_frames() {
        assert_eq!(bytes("settings 8=1", true), [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1]);
        assert_eq!(bytes("headers 3 end; :status: 200", false), headers(END_STREAM, 3, &[(":status", "200")]));
        assert_eq!(bytes("data 1; text hi", false), frame(DATA, 0, 1, &[0x81, 2, b'h', b'i']));
        assert_eq!(bytes("reset 1 8", true), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    }
}
