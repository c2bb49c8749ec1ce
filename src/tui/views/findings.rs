//! All findings, grouped by rule: how many, since when, where; below, what the rule means and what mends it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::base::Timestamp;
use crate::model::Severity;
use crate::rules;
use crate::tui::keys::Action;
use crate::tui::list::List;
use crate::tui::paint::{self, Line, clip, fill, fill_left, put};
use crate::tui::shared::{Mark, Shared};
use crate::tui::theme::Tone;

use super::{Screen, Step, View, verdict};

pub static SCREEN: Screen = Screen { name: "findings", action: Action::Findings, open };

/// Rows of the body from which there is a pane below.
const PANE_FROM: u16 = 16;

fn open(s: &Shared) -> Result<Box<dyn View>, String> {
    let mut view = Findings::default();
    view.build(s);
    if view.groups.is_empty() {
        return Err("there are no findings in what is shown".to_owned());
    }
    Ok(Box::new(view))
}

/// Findings of one rule.
struct Group {
    rule: String,
    severity: Severity,
    count: usize,
    /// Chains that have it.
    chains: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Index of the first one.
    example: usize,
    allowed: bool,
    /// The chain of the first one: an index.
    owner: Option<usize>,
}

/// Chains that have the same findings.
#[derive(Clone, Default)]
struct Alike {
    chains: usize,
    /// When the first and the last of them began.
    times: Option<(Timestamp, Timestamp)>,
    /// The first of them: an index.
    first: usize,
}

#[derive(Default)]
struct Findings {
    groups: Vec<Group>,
    list: List,
    top: u16,
}

impl Findings {
    fn build(&mut self, s: &Shared) {
        let facts = &s.facts;
        let mut alike = vec![Alike::default(); facts.kinds().len()];
        for at in s.visible.iter().filter_map(|at| usize::try_from(*at).ok()) {
            let Some(alike) = facts.kind(at).and_then(|kind| alike.get_mut(kind)) else { continue };
            alike.first = if alike.chains == 0 { at } else { alike.first.min(at) };
            alike.chains += 1;
            if let Some((began, _)) = facts.span(at) {
                alike.times = Some(alike.times.map_or((began, began), |(a, b)| (a.min(began), b.max(began))));
            }
        }
        self.groups.clear();
        for (kind, alike) in facts.kinds().iter().zip(&alike).filter(|(_, alike)| alike.chains > 0) {
            for found in kind {
                let Some(group) = self.group(s.text.own(facts.rule(found.rule))) else { continue };
                group.count += alike.chains * usize::try_from(found.count).unwrap_or(0);
                group.chains += alike.chains;
                group.severity = group.severity.max(found.severity);
                group.allowed &= found.allowed;
                let (first, last) = alike.times.unzip();
                group.first = group.first.into_iter().chain(first).min();
                group.last = group.last.into_iter().chain(last).max();
                group.owner = Some(group.owner.map_or(alike.first, |owner| owner.min(alike.first)));
            }
        }
        // What is about an input or all of the capture belongs to no chain, and no filter hides it.
        for (index, finding) in facts.lone().iter().filter_map(|at| Some((*at, s.a.findings.get(*at)?))) {
            let Some(group) = self.group(s.text.own(&finding.rule)) else { continue };
            group.count += 1;
            group.severity = group.severity.max(finding.severity);
            group.allowed &= finding.allowed;
            group.example = group.example.min(index);
        }
        for group in &mut self.groups {
            let chain = group.owner.and_then(|at| s.a.chains.get(at));
            let own = chain.map(|chain| s.findings(chain)).unwrap_or_default();
            let is = |at: &usize| s.a.findings.get(*at).is_some_and(|f| s.text.own(&f.rule) == group.rule);
            group.example = own.into_iter().filter(is).chain([group.example]).min().unwrap_or(group.example);
        }
        self.groups
            .sort_by_key(|group| (std::cmp::Reverse((!group.allowed, group.severity, group.count)), group.example));
    }

    /// The group of a rule, which is new where there is none.
    fn group(&mut self, rule: String) -> Option<&mut Group> {
        let at = self.groups.iter().position(|group| group.rule == rule).unwrap_or(self.groups.len());
        if at == self.groups.len() {
            self.groups.push(Group {
                rule,
                severity: Severity::Info,
                count: 0,
                chains: 0,
                first: None,
                last: None,
                example: usize::MAX,
                allowed: true,
                owner: None,
            });
        }
        self.groups.get_mut(at)
    }

    fn pane(&self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let Some(group) = self.groups.get(self.list.cursor) else { return };
        let columns = usize::from(area.width);
        paint::rule(buf, s.theme, Rect { height: 1, ..area }, &Line::of(Tone::Strong, group.rule.clone()));
        let mut out = Vec::new();
        let rule = rules::find(&group.rule);
        if let Some(rule) = rule {
            verdict::labelled(&mut out, "what", Tone::Strong, rule.title, columns);
        }
        if let Some(example) = s.a.findings.get(group.example) {
            verdict::labelled(&mut out, "first", Tone::Plain, &s.text.text(&example.message), columns);
        }
        if let Some(rule) = rule {
            rule.causes.iter().take(2).zip(["cause", ""]).for_each(|(cause, label)| {
                verdict::labelled(&mut out, label, Tone::Plain, cause, columns);
            });
        }
        let owner = group.owner.and_then(|at| s.a.chains.get(at));
        if let Some(chain) = owner.filter(|chain| chain.verdict.rule == group.rule) {
            out.extend(verdict::fixes(s, chain, columns));
        }
        if let Some(rule) = rule {
            verdict::labelled(&mut out, "why", Tone::Plain, &rule.about.replace("\n\n", "\n"), columns);
            verdict::labelled(&mut out, "see", Tone::Dim, &rule.refs.join(", "), columns);
        }
        paint::lines(buf, s.theme, Rect { y: area.y + 1, height: area.height - 1, ..area }, &out);
    }
}

impl View for Findings {
    fn screen(&self) -> &'static Screen {
        &SCREEN
    }

    fn title(&self, _: &Shared) -> String {
        "findings".to_owned()
    }

    fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let pane = if area.height >= PANE_FROM { area.height / 2 } else { 0 };
        let wide = area.width >= 110;
        let times = if area.width >= 66 { 12 } else { 0 };
        let rule = usize::from(area.width).saturating_sub(4 + 6 + 7 + 2 * (times + usize::from(times > 0)));
        let rule = if wide { rule.min(30) } else { rule };
        let mut heads = format!("   {} {} {}", fill("Rule", rule), fill_left("Count", 5), fill_left("Chains", 6));
        if times > 0 {
            heads.push_str(&format!(" {} {}", fill("First", times), fill("Last", times)));
        }
        put(buf, s.theme, (area.left(), area.top()), area.width, &Line::of(Tone::Dim, heads), Style::new());
        self.top = area.top() + 1;
        let height = area.height.saturating_sub(1 + pane);
        let window = self.list.window(usize::from(height), self.groups.len());
        for (at, y) in window.zip(self.top..) {
            let Some(group) = self.groups.get(at) else { continue };
            let (glyph, tone) = if group.allowed { Mark::Plain } else { Mark::of(group.severity) }.glyph();
            let mut line = Line::of(Tone::Strong, if at == self.list.cursor { "►" } else { " " });
            line.push(tone, format!("{glyph} {} ", fill(&group.rule, rule)));
            line.push(
                Tone::Plain,
                format!("{} {}", fill_left(&group.count.to_string(), 5), fill_left(&group.chains.to_string(), 6)),
            );
            if times > 0 {
                let time = |ts: Option<Timestamp>| fill(&ts.map(|ts| s.time(ts)).unwrap_or_default(), times);
                line.push(Tone::Dim, format!(" {} {}", time(group.first), time(group.last)));
            }
            if wide {
                let title = rules::find(&group.rule).map_or("", |rule| rule.title);
                let left = usize::from(area.width).saturating_sub(line.width() + 1);
                line.push(Tone::Plain, format!(" {}", clip(title, left)));
            }
            let base = if at == self.list.cursor { s.theme.cursor() } else { Style::new() };
            paint::tint(buf, Rect::new(area.left(), y, area.width, 1), base);
            put(buf, s.theme, (area.left(), y), area.width, &line, base);
        }
        if pane > 0 {
            self.pane(s, Rect { y: area.bottom() - pane, height: pane, ..area }, buf);
        }
    }

    fn act(&mut self, action: Action, _: &mut Shared) -> Step {
        if self.list.act(action, self.groups.len()) {
            return Step::Done;
        }
        let rule = self.groups.get(self.list.cursor).filter(|group| group.chains > 0).map(|group| group.rule.clone());
        match (action, rule) {
            (Action::Enter, Some(rule)) => Step::Filter(format!("rule:{rule}")),
            (Action::Enter, None) => Step::Say("it is about the capture, not about a chain".to_owned()),
            (Action::Copy, Some(rule)) => Step::Copy(rule),
            _ => Step::Ignored,
        }
    }

    fn cursor(&self, _: &Shared) -> (usize, usize) {
        (self.list.cursor, self.groups.len())
    }

    fn click(&mut self, (_, y): (u16, u16), _: &mut Shared) -> bool {
        self.list.click(y, self.top, self.groups.len())
    }

    fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.shrink(self.groups.len());
    }
}
