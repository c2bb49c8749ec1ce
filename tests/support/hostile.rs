//! A conversation over a proxy in which every place that a stranger can write into holds what would do harm in some
//! format: markup, quotes, ends of tables and fences, bidirectional and control characters.

use super::file::Format;
use super::link::{self, Link};
use super::script::{self, Script, Side};

/// What strangers write. No line break can stand in a field.
pub(crate) const EVIL: [&str; 12] = [
    "<script>alert('evil1')</script>",
    "\"><img src=x onerror=alert('evil2')>",
    "'evil3' \"quoted\" `ticks` ```fence``` ````",
    "| evil4 | cell | \\| [link](javascript:alert(1)) ![x](https://evil.example/x.png)",
    "]]> <!-- evil5 --> </testcase> &amp; &#60;b&#62;",
    "evil6; end\u{202e}txt.exe\u{200b}\u{2066}",
    "evil7 \u{1b}[31m\u{1b}]8;;https://evil.example\u{7} \u{7f}\u{85}",
    "evil8 %% #quot; ;->>P0: # --> participant X",
    "</script></style></title><svg onload=alert('evil9')>",
    "=HYPERLINK(\"https://evil.example\",\"evil10\")",
    "\u{fffe}\u{ffff} evil11 \\u003cscript\\u003e",
    "{\"evil12\": [1, 2]} ${x} $(x) {{x}} __proto__",
];

/// Two legs of one upgrade, refused with an answer that is as bad.
pub(crate) fn capture() -> Vec<u8> {
    let request = |host: &str| {
        let mut lines = format!(
            "GET /chat/<script>evil-path</script>?x=`|\"'&y=%3Cscript%3E HTTP/1.1\nHost: {host}\nUpgrade: websocket\n\
             Connection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
             Origin: https://evil.example/<script>\nSec-WebSocket-Protocol: <b>evil-sub</b>, a|b\n\
             User-Agent: <script>evil-agent</script>"
        );
        for (n, evil) in EVIL.iter().enumerate() {
            lines.push_str(&format!("\nX-Evil-{n}: {evil}"));
        }
        lines
    };
    let answer = |server: &str| {
        format!(
            "HTTP/1.1 403 <script>alert('evil-reason')</script> | `x`\nServer: {server}\nContent-Length: 33\n\
             Via: 1.1 <script>evil-via</script> | \"x\"\nX-Evil: {}",
            EVIL[0]
        )
    };
    let body = "<script>alert('evil-body')</script>";
    let near = Script::flow().head(Side::Client, &request("chat.example.org\"><script>evil-host</script>"));
    let far = Script::midstream("192.0.2.10:41000", "192.0.2.20:8080").not_before(near.now_ns()).handshake();
    let far =
        far.head(Side::Client, &request("app|`<b>evil-app</b>`")).head(Side::Server, &answer("<i>evil-backend</i>"));
    let far = far.server(&body[..33]).fin(Side::Server).fin(Side::Client);
    let near = near.not_before(far.now_ns()).head(Side::Server, &answer("nginx/1.22.1 <script>evil-server</script>"));
    let near = near.server(&body[..33]).fin(Side::Server).fin(Side::Client);
    let format = Format { nanoseconds: true, ..Format::pcap(Link::Ethernet) };
    format.write(&link::packets(&script::together([near, far]), Link::Ethernet))
}
