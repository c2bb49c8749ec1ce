#[test]
fn sizes() {
    use hopscope::*;
    macro_rules! p { ($($t:ty),*) => { $(println!("{} {}", stringify!($t), size_of::<$t>());)* } }
    p!(
        model::Exchange,
        model::Head,
        model::Handshake,
        model::Chain,
        model::Verdict,
        store::Row,
        model::Finding,
        rules::seen::Attempt,
        model::End,
        model::Times,
        model::WsTotals,
        model::Preview,
        model::Field,
        model::StartLine,
        base::Endpoint,
        engine::Judged,
        model::Text,
        model::Fix,
        model::Blame,
        model::Quality
    );
}
