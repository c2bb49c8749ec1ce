//! What can be written to a file, and of which chains: a menu.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::report;

use super::keys::Action;
use super::list::List;
use super::paint::{self, Line, fill};
use super::shared::{Shared, grouped};
use super::theme::Tone;

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A report in this format of `--format`.
    Report(&'static str),
    /// The packets, as pcapng.
    Packets,
}

/// Of which chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// These numbers; never empty.
    Chains(Vec<i64>),
    /// All that match this filter; all where it is empty.
    Filter(String),
}

/// What whoever writes is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub form: Form,
    pub scope: Scope,
    /// Cookies, tokens and passwords are not masked.
    pub secrets: bool,
}

impl Request {
    /// A name for the file, without its ending: letters, digits and hyphens.
    pub fn stem(&self) -> String {
        match &self.scope {
            Scope::Chains(ids) if ids.len() == 1 => format!("hopscope-{}", ids.first().copied().unwrap_or(0)),
            Scope::Chains(ids) => format!("hopscope-{}-chains", ids.len()),
            Scope::Filter(_) => "hopscope".to_owned(),
        }
    }

    /// The ending of its name, without the dot.
    pub fn extension(&self) -> &'static str {
        match self.form {
            Form::Report(name) => report::find(name).map_or("txt", |format| format.extension),
            Form::Packets => "pcapng",
        }
    }
}

pub(super) struct Menu {
    scopes: Vec<(String, Scope)>,
    scope: usize,
    list: List,
}

pub(super) enum Chosen {
    Going,
    Left,
    Write(Form, Scope),
}

impl Menu {
    /// `Err`: there is nothing to write.
    pub(super) fn new(s: &Shared) -> Result<Menu, String> {
        let Some(chain) = s.chain() else { return Err("there is nothing to write yet".to_owned()) };
        let mut scopes = Vec::new();
        if !s.marked.is_empty() {
            let marked: Vec<i64> = s.marked.iter().copied().collect();
            scopes.push((format!("{} marked chains", marked.len()), Scope::Chains(marked)));
        }
        scopes.push((format!("chain #{}", chain.id), Scope::Chains(vec![chain.id])));
        let all = grouped(s.visible.len() as u64);
        let words = match s.filter.text.is_empty() {
            true => format!("all {all} chains"),
            false => format!("the {all} chains that match the filter"),
        };
        scopes.push((words, Scope::Filter(s.filter.text.clone())));
        Ok(Menu { scopes, scope: 0, list: List::default() })
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Chosen {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'e') => return Chosen::Left,
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => {
                self.scope = (self.scope + 1) % self.scopes.len().max(1)
            }
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => {
                self.scope = (self.scope + self.scopes.len().max(1) - 1) % self.scopes.len().max(1);
            }
            KeyCode::Down | KeyCode::Char('j') => {
                self.list.act(Action::Down, forms().len());
            }
            KeyCode::Up | KeyCode::Char('k') => {
                self.list.act(Action::Up, forms().len());
            }
            KeyCode::Enter => {
                let form = forms().get(self.list.cursor).map(|(form, _)| *form);
                if let Some((form, (_, scope))) = form.zip(self.scopes.get(self.scope)) {
                    return Chosen::Write(form, scope.clone());
                }
            }
            _ => {}
        }
        Chosen::Going
    }

    pub(super) fn draw(&mut self, s: &Shared, area: Rect, buf: &mut Buffer) {
        let mut lines = Vec::new();
        let of = self.scopes.get(self.scope).map_or("", |(words, _)| words.as_str());
        lines.push(
            Line::of(Tone::Plain, " write ").add(Tone::Strong, of).add(Tone::Dim, "   Tab: others   Esc: nothing"),
        );
        lines.push(Line::new());
        let all = forms();
        let room = usize::from(area.height.saturating_sub(3));
        for at in self.list.window(room, all.len()) {
            let Some((form, words)) = all.get(at) else { continue };
            let chosen = at == self.list.cursor;
            let name = match form {
                Form::Report(name) => name,
                Form::Packets => "pcapng",
            };
            let line = Line::of(Tone::Strong, if chosen { " ► " } else { "   " });
            lines
                .push(line.add(if chosen { Tone::Accent } else { Tone::Plain }, fill(name, 10)).add(Tone::Dim, *words));
        }
        let place = " into the folder in which hopscope was started; nothing that is there is overwritten";
        lines.push(Line::of(Tone::Dim, place));
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            paint::put(buf, s.theme, (area.left(), y), area.width, line, Style::new());
        }
    }
}

/// All forms, and what each is good for.
fn forms() -> Vec<(Form, &'static str)> {
    let reports = report::names().map(|name| {
        let words = match name {
            "text" => "a report for people",
            "json" => "the whole analysis, for programs",
            "ndjson" => "one object a line, for programs",
            "csv" => "one row for each exchange, for a table",
            "markdown" => "a report for a ticket",
            "html" => "a page for a browser",
            "mermaid" => "ladders as diagrams",
            "sarif" => "findings, for code scanning",
            "junit" => "findings, for a build",
            _ => "a report",
        };
        (Form::Report(name), words)
    });
    reports
        .chain([(Form::Packets, "the packets of their connections, with comments; the secrets in them stay")])
        .collect()
}
