//! Live capture between real proxies: nginx and HAProxy in network namespaces of their own, with right and wrong
//! configurations, real clients and a real server. What the program prints as the fix is applied, and the same client
//! upgrades. Needs root and namespaces; where they are missing, it fails.

use std::time::Duration;

use serde_json::{Value, json};

use crate::namespaces_watch::{Outcome, PROXY, Proxy, Seen, Watch, ask, ask_until_echoed, packets, serve};
use crate::support::apply::apply;
use crate::support::netns::Net;

const NGINX: &str = "
daemon off;
user root;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events { }
http {
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    # place: http

    server {
        listen 80;
        location / {
            # place: location
            {here}
            proxy_pass http://198.18.1.2:8080;
        }
    }
}
";

const HAPROXY: &str = "
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    # place: defaults
    {defaults}

frontend front
    bind :80
    default_backend back

backend back
    # place: backend
    {here}
    server app 198.18.1.2:8080
";

const NGINX_RIGHT: &str = "proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;";

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn nginx_that_forgets_the_upgrade_is_blamed_live_and_its_printed_fix_mends_it() {
    let net = Net::row(3);
    let proxy = Proxy::nginx(&net, &NGINX.replace("{here}", ""));
    mend(&net, &proxy, Fault { rule: "hop-downgraded-http10", product: "nginx", silent: 0, ..Fault::REFUSED });
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn nginx_that_drops_connection_is_blamed_live_and_its_printed_fix_mends_it() {
    let net = Net::row(3);
    let wrong = NGINX_RIGHT.replace("$http_connection", "\"\"");
    let proxy = Proxy::nginx(&net, &NGINX.replace("{here}", &wrong));
    mend(&net, &proxy, Fault { rule: "hop-stripped-connection", product: "nginx", silent: 0, ..Fault::REFUSED });
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn nginx_that_ends_silent_tunnels_is_blamed_live_and_its_printed_fix_mends_it() {
    let net = Net::row(3);
    let wrong = format!("{NGINX_RIGHT}\nproxy_read_timeout 2s;");
    let proxy = Proxy::nginx(&net, &NGINX.replace("{here}", &wrong));
    mend(&net, &proxy, Fault { product: "nginx", silent: 3, ..Fault::CUT_OFF });
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn haproxy_that_takes_the_upgrade_away_is_blamed_live_and_its_printed_fix_mends_it() {
    let net = Net::row(3);
    let wrong = HAPROXY.replace("{here}", "http-request del-header Upgrade").replace("{defaults}", "");
    let proxy = Proxy::haproxy(&net, &wrong);
    mend(&net, &proxy, Fault { rule: "hop-stripped-upgrade", product: "HAProxy", silent: 0, ..Fault::REFUSED });
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn haproxy_that_ends_silent_tunnels_is_blamed_live_and_its_printed_fix_mends_it() {
    let net = Net::row(3);
    let wrong = HAPROXY.replace("{defaults}", "timeout tunnel 2s").replace("{here}", "");
    let proxy = Proxy::haproxy(&net, &wrong);
    mend(&net, &proxy, Fault { product: "HAProxy", silent: 3, ..Fault::CUT_OFF });
}

#[test]
#[ignore = "makes network namespaces, which needs root: .ci/run"]
fn right_configurations_are_found_right_live() {
    for (start, config) in [
        (Proxy::nginx as fn(&Net, &str) -> Proxy, NGINX.replace("{here}", NGINX_RIGHT)),
        (Proxy::haproxy, HAPROXY.replace("{here}", "").replace("{defaults}", "timeout tunnel 1h")),
    ] {
        let net = Net::row(3);
        let proxy = start(&net, &config);
        let upgraded = serve(&net, 8080);
        let watch = Watch::begin(&net);
        for n in 0..8 {
            assert_eq!(ask(&net, &format!("/room/{n}"), Duration::ZERO), Outcome::Echoed);
        }
        let seen = settled(watch);
        assert_eq!(upgraded.load(std::sync::atomic::Ordering::Relaxed), 8);
        drop(proxy);
        for (which, report) in ["legs", "any", "offline"].into_iter().zip(seen.all()) {
            let stories = stories(report);
            assert_eq!(stories.len(), 8, "{which}: {stories:#?}");
            for (n, story) in stories.iter().enumerate() {
                let target = format!("/room/{n}");
                assert_eq!(story["targets"], json!([target, target]), "{which}: {story:#} {}", report["counters"]);
                assert_eq!((&story["verdict"], &story["outcome"]), (&"ok".into(), &"upgraded".into()), "{story:#}");
            }
        }
        seen.agrees();
    }
}

/// What a wrong configuration does.
struct Fault {
    /// The client sees that.
    outcome: fn(&Outcome) -> bool,
    chain: &'static str,
    rule: &'static str,
    product: &'static str,
    /// Seconds for which the client is silent.
    silent: u64,
}

impl Fault {
    const REFUSED: Fault = Fault {
        outcome: |outcome| matches!(outcome, Outcome::Refused(_)),
        chain: "refused",
        rule: "",
        product: "",
        silent: 0,
    };
    const CUT_OFF: Fault = Fault {
        outcome: |outcome| matches!(outcome, Outcome::CutOff),
        chain: "upgraded",
        rule: "idle-timeout",
        product: "",
        silent: 0,
    };
}

/// The fault is found and blamed on the proxy by all captures; what was printed as its fix goes into the configuration,
/// and the same client upgrades.
fn mend(net: &Net, proxy: &Proxy, fault: Fault) {
    serve(net, 8080);
    let silent = Duration::from_secs(fault.silent);
    let mut tries = 0;
    let seen = loop {
        let watch = Watch::begin(net);
        let before = ask(net, "/chat", silent);
        assert!((fault.outcome)(&before), "{before:?}");
        let seen = settled(watch);
        tries += 1;
        // On a busy machine a proxy's timer is late now and then, and what it took is no whole number of seconds.
        let late = fault.silent != 0 && seen.all().iter().any(|report| stories(report)[0]["verdict"] == "hop-ended-it");
        if !late || tries == 3 {
            break seen;
        }
    };
    let address = Net::near_address(PROXY).to_string();
    for report in seen.all() {
        let stories = stories(report);
        let [story] = stories.as_slice() else { panic!("one upgrade was tried: {stories:#?} {}", report["inputs"]) };
        assert_eq!(story["targets"], json!(["/chat", "/chat"]), "{story:#}");
        assert_eq!(
            (&story["outcome"], &story["verdict"]),
            (&fault.chain.into(), &fault.rule.into()),
            "{story:#} {}",
            report["exchanges"]
        );
        let blame = &story["blame"];
        assert_eq!((&blame["role"], &blame["address"]), (&"hop".into(), &address.as_str().into()), "{story:#}");
        // A product that writes nothing of its own is not sure enough to be named.
        let product = blame["product"].as_str();
        assert!(product.map_or(fault.silent != 0, |product| product.starts_with(fault.product)), "{story:#}");
    }
    seen.agrees();
    proxy.reload(&apply(&proxy.config(), &seen.fix(fault.product)));
    let after = ask_until_echoed(net, "/chat", silent);
    assert_eq!(after, Outcome::Echoed, "with the fix:\n{}\n{}", proxy.config(), proxy.log());
    // Nothing is left to be said.
    let watch = Watch::begin(net);
    assert_eq!(ask(net, "/chat", silent), Outcome::Echoed);
    let seen = settled(watch);
    for report in seen.all() {
        let stories = stories(report);
        assert_eq!(stories.iter().map(|story| &story["verdict"]).collect::<Vec<_>>(), ["ok"], "{stories:#?}");
    }
    seen.agrees();
}

/// Ends the captures when the last packets of what was said have had time to come.
fn settled(watch: Watch) -> Seen {
    std::thread::sleep(Duration::from_millis(300));
    watch.end()
}

impl Seen {
    fn all(&self) -> [&Value; 4] {
        [&self.legs, &self.any, &self.offline, &self.kept]
    }

    /// Nothing was lost, and all captures tell the same.
    fn agrees(&self) {
        for report in self.all() {
            for counter in ["dropped_kernel", "dropped_interface", "dropped_hopscope", "gaps", "evicted"] {
                assert_eq!(report["counters"][counter], 0, "{counter}");
            }
        }
        let offline = stories(&self.offline);
        same("live on two interfaces, and offline", &stories(&self.legs), &offline);
        same("live on any, and offline on two interfaces", &stories(&self.any), &offline);
        same("live on two interfaces, and what that kept", &stories(&self.kept), &offline);
        assert_eq!(packets(&self.legs), packets(&self.offline), "packets, live and by tcpdump");
        assert_eq!(packets(&self.kept), packets(&self.offline), "packets kept, and by tcpdump");
        assert_eq!(packets(&self.any), packets(&self.offline), "packets on any, and by tcpdump");
    }

    /// The fix for this product: of the live report, and as the report in words prints it.
    fn fix(&self, product: &str) -> String {
        let fixes = self.legs["chains"][0]["verdict"]["fix"].as_array().cloned().unwrap_or_default();
        let fix = fixes.iter().find(|fix| fix["product"] == product);
        let text =
            fix.and_then(|fix| fix["text"].as_str()).unwrap_or_else(|| panic!("no fix for {product}: {fixes:?}"));
        let printed: Vec<&str> = self.words.lines().map(str::trim).collect();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(printed.windows(lines.len()).any(|run| run == lines), "{text}\nis not printed in:\n{}", self.words);
        text.to_owned()
    }
}

fn same(what: &str, left: &[Value], right: &[Value]) {
    assert_eq!(left.len(), right.len(), "{what}");
    for (left, right) in left.iter().zip(right) {
        for (key, value) in left.as_object().unwrap() {
            assert_eq!((key, value), (key, &right[key]), "{what}: {left:#}");
        }
    }
}

/// What a report says of each chain, without ids, times and places in files.
fn stories(report: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (exchanges, findings) = (list(&report["exchanges"]), list(&report["findings"]));
    let by_id = |all: &[Value], id: &Value| all.iter().find(|one| one["id"] == *id).cloned().unwrap_or_default();
    let story = |chain: &Value| {
        let legs: Vec<Value> = list(&chain["legs"]).iter().map(|id| by_id(&exchanges, id)).collect();
        let of = |pointer: &str| legs.iter().map(|leg| leg.pointer(pointer).cloned()).collect::<Vec<_>>();
        let mut rules: Vec<String> = list(&chain["findings"])
            .iter()
            .map(|id| by_id(&findings, id))
            .map(|finding| format!("{} {}", finding["rule"], finding["severity"]))
            .collect();
        rules.sort();
        let hops = list(&chain["hops"]);
        let hop = |key: &str| hops.iter().map(|hop| hop[key].clone()).collect::<Vec<_>>();
        // What proves it grows with what was seen.
        let product = |hop: &Value| json!([hop["product"]["name"], hop["product"]["version"]]);
        let products: Vec<Value> = hops.iter().map(product).collect();
        json!({
            "targets": of("/request/target"),
            "statuses": of("/response/status"),
            "outcomes": of("/outcome"),
            "ends": [of("/end/by"), of("/end/how"), of("/end/close_code")],
            "frames": [of("/websocket/client/frames"), of("/websocket/server/frames")],
            "outcome": chain["outcome"],
            // What made it do so, where that is known.
            "verdict": chain["verdict"].get("because").filter(|b| !b.is_null()).unwrap_or(&chain["verdict"]["rule"]),
            "severity": chain["verdict"]["severity"],
            "blame": chain["verdict"]["blame"],
            "fix": chain["verdict"]["fix"],
            "hops": [products, hop("upgrade_kept"), hop("connection_kept"), hop("key_kept"), hop("versions")],
            "changed": [hop("request"), hop("response")],
            "rules": rules,
        })
    };
    list(&report["chains"]).iter().map(story).collect()
}
