//! Chains as rows: under headings where they are grouped, unfolded into their legs where the user wants that.

use std::collections::BTreeSet;

use super::keys::Action;
use super::list::List;
use super::paint::Line;
use super::shared::Shared;
use super::theme::Tone;
use super::views::Step;

/// What stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The heading of a group.
    Group(usize),
    /// A place among the visible chains.
    Chain(usize),
    /// The same, and a leg from 0.
    Leg(usize, usize),
}

/// Rows of one sort that follow each other.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Its first row, and the place of its first chain.
    row: usize,
    place: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Group(usize),
    Chains,
    Legs,
}

/// The rows and the cursor in them.
#[derive(Default)]
pub struct Tree {
    pub list: List,
    /// Numbers of the chains that are unfolded.
    unfolded: BTreeSet<i64>,
    /// Names of the groups that are folded.
    folded: BTreeSet<Box<[u8]>>,
    runs: Vec<Run>,
    rows: usize,
}

impl Tree {
    /// With the cursor on the chain that is looked at.
    pub fn new(s: &Shared) -> Tree {
        let mut tree = Tree::default();
        tree.build(s);
        tree.list = List::on(tree.row_of(s.place()));
        tree
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn row(&self, at: usize) -> Row {
        let run = self.runs.partition_point(|run| run.row <= at).checked_sub(1).and_then(|i| self.runs.get(i));
        match run {
            Some(Run { what: What::Group(group), .. }) => Row::Group(*group),
            Some(Run { what: What::Legs, place, row }) => Row::Leg(*place, at - row),
            Some(Run { what: What::Chains, place, row }) => Row::Chain(place + (at - row)),
            None => Row::Chain(at),
        }
    }

    /// The row of the chain at this place; of its group where that is folded.
    pub fn row_of(&self, place: usize) -> usize {
        let upto = self.runs.partition_point(|run| run.place <= place);
        let before = self.runs.get(..upto).unwrap_or_default();
        match before.iter().rev().find(|run| !matches!(run.what, What::Legs)) {
            Some(Run { what: What::Group(_), row, .. }) => *row,
            Some(run) => run.row + (place - run.place),
            None => 0,
        }
    }

    /// The place of the chain that the cursor is on, of a heading its first one.
    pub fn place(&self, s: &Shared) -> usize {
        match self.row(self.list.cursor) {
            Row::Chain(place) | Row::Leg(place, _) => place,
            Row::Group(group) => s.groups.get(group).map_or(0, |group| group.first),
        }
    }

    pub fn is_unfolded(&self, id: i64) -> bool {
        self.unfolded.contains(&id)
    }

    /// Notes what is where, for the order and the filter as they are.
    fn build(&mut self, s: &Shared) {
        self.runs.clear();
        let mut open = Vec::new();
        for id in &self.unfolded {
            let index = s.find(*id);
            let legs = index.and_then(|at| s.a.chains.get(at)).map_or(0, |chain| chain.legs.len());
            open.extend(index.and_then(|at| s.place_of(at)).map(|place| (place, legs)));
        }
        open.sort_unstable();
        let mut open = open.into_iter().peekable();
        let mut row = 0;
        let whole = [(None, 0, s.visible.len())];
        let groups = s.groups.iter().enumerate().map(|(at, group)| (Some(at), group.first, group.chains));
        for (group, first, chains) in whole.into_iter().filter(|_| s.groups.is_empty()).chain(groups) {
            let end = first + chains;
            if let Some(group) = group {
                self.runs.push(Run { row, place: first, what: What::Group(group) });
                row += 1;
                if s.groups.get(group).is_some_and(|group| self.folded.contains(&group.name)) {
                    while open.next_if(|(place, _)| *place < end).is_some() {}
                    continue;
                }
            }
            let mut from = first;
            while from < end {
                let unfolded = open.next_if(|(place, _)| *place < end);
                let to = unfolded.map_or(end, |(place, _)| place + 1);
                self.runs.push(Run { row, place: from, what: What::Chains });
                row += to - from;
                if let Some((place, legs)) = unfolded.filter(|(_, legs)| *legs > 0) {
                    self.runs.push(Run { row, place, what: What::Legs });
                    row += legs;
                }
                from = to;
            }
        }
        self.rows = row;
    }

    /// What the cursor is on is what is looked at.
    pub fn choose(&self, s: &mut Shared) {
        if let Some((index, _)) = s.at(self.place(s)) {
            s.chosen = index;
        }
    }

    /// Moves the cursor; whether the action was one of a list.
    pub fn moved(&mut self, action: Action, s: &mut Shared) -> bool {
        let moved = self.list.act(action, self.rows);
        if moved {
            self.choose(s);
        }
        moved
    }

    /// Unfolds what the cursor is on, or folds it. `None`: the other of the two.
    pub fn fold(&mut self, s: &mut Shared, unfold: Option<bool>) -> Step {
        let row = self.row(self.list.cursor);
        if let Row::Group(group) = row {
            let Some(name) = s.groups.get(group).map(|group| group.name.clone()) else { return Step::Ignored };
            let unfold = unfold.unwrap_or_else(|| self.folded.contains(&name));
            if unfold {
                self.folded.remove(&name);
            } else {
                self.folded.insert(name);
            }
            self.build(s);
            return Step::Done;
        }
        let place = self.place(s);
        let Some((_, chain)) = s.at(place) else { return Step::Ignored };
        let (id, legs) = (chain.id, chain.legs.len());
        if unfold == Some(false) && !self.unfolded.contains(&id) && !s.groups.is_empty() {
            // What is folded already: its heading is next.
            let heading = self.runs.iter().rev().find(|run| run.place <= place && matches!(run.what, What::Group(_)));
            self.list.cursor = heading.map_or(self.list.cursor, |run| run.row);
            self.choose(s);
            return Step::Done;
        }
        if unfold.unwrap_or_else(|| !self.unfolded.contains(&id)) {
            if legs == 0 {
                return Step::Say("this connection never carried a request: it has no legs".to_owned());
            }
            self.unfolded.insert(id);
        } else {
            self.unfolded.remove(&id);
        }
        self.build(s);
        self.list.cursor = self.row_of(place);
        Step::Done
    }

    /// The next chain with a fault, from the cursor on or before it.
    pub fn fault(&mut self, s: &mut Shared, back: bool) -> Step {
        let Some(place) = s.fault(self.place(s), back, matches!(self.row(self.list.cursor), Row::Group(_))) else {
            return Step::Say(format!("no {} chain with a fault", if back { "earlier" } else { "later" }));
        };
        let group = s.groups.partition_point(|group| group.first <= place).checked_sub(1);
        if let Some(group) = group.and_then(|at| s.groups.get(at)).filter(|group| self.folded.contains(&group.name)) {
            self.folded.remove(&group.name);
            self.build(s);
        }
        self.list.cursor = self.row_of(place);
        self.choose(s);
        Step::Done
    }

    /// Marks the chain for an export, and goes on to the next.
    pub fn mark(&mut self, s: &mut Shared) {
        s.mark_chosen();
        self.moved(Action::Down, s);
    }

    /// The row that stands so many lines below the first in view; whether there is one.
    pub fn click(&mut self, line: Option<u16>, s: &mut Shared) -> bool {
        let row = line.and_then(|line| self.list.at(usize::from(line), self.rows));
        if let Some(row) = row {
            self.list.cursor = row;
            self.choose(s);
        }
        row.is_some()
    }

    /// Analysis, filter or order are others: the cursor stays on the chain that is looked at.
    pub fn changed(&mut self, s: &mut Shared) {
        self.build(s);
        self.list.cursor = self.row_of(s.place()).min(self.rows.saturating_sub(1));
        self.choose(s);
    }

    /// What stands before a chain's number: its mark for an export, whether it is unfolded, how it went.
    pub fn signs(&self, s: &Shared, place: usize) -> Line {
        let Some((index, chain)) = s.at(place) else { return Line::new() };
        let (glyph, tone) = s.mark_of(index).unwrap_or_else(|| s.mark(chain)).glyph();
        let fold = match chain.legs.len() {
            0 | 1 => " ",
            _ if self.is_unfolded(chain.id) => "▾",
            _ => "▸",
        };
        let marked = if s.marked.contains(&chain.id) { "■" } else { " " };
        Line::of(Tone::Accent, marked).add(Tone::Dim, fold).add(tone, glyph)
    }

    /// A heading: what the chains of the group share, how many they are, and how many of them failed.
    pub fn heading(&self, s: &Shared, group: usize) -> Line {
        let Some(group) = s.groups.get(group) else { return Line::new() };
        let fold = if self.folded.contains(&group.name) { "▸" } else { "▾" };
        let name = s.group_name(group);
        let mut out = Line::of(Tone::Dim, format!(" {fold} ")).add(Tone::Strong, name);
        let chains = if group.chains == 1 { "chain" } else { "chains" };
        out.push(Tone::Dim, format!("  {} {chains}", super::shared::grouped(group.chains as u64)));
        if group.errors > 0 {
            out.push(Tone::Error, format!("  ✗ {}", group.errors));
        }
        if group.warnings > 0 {
            out.push(Tone::Warning, format!("  ! {}", group.warnings));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;
    use crate::tui::order::{By, Order, Sort};
    use crate::tui::{Ready, Theme};

    fn shared(by: By) -> Shared {
        let mut s = Shared::new(Theme::default(), false, true);
        s.take(Ready::new(testing::journeys()));
        s.set_order(Order { sort: Sort::Time, reverse: false, by });
        s
    }

    /// Every row is found again by what stands in it.
    fn check(tree: &Tree, s: &Shared) {
        let all: Vec<Row> = (0..tree.rows()).map(|at| tree.row(at)).collect();
        for (at, row) in all.iter().enumerate() {
            match row {
                Row::Chain(place) => assert_eq!(tree.row_of(*place), at, "{all:?}"),
                Row::Leg(place, leg) => assert_eq!(tree.row_of(*place) + leg + 1, at, "{all:?}"),
                Row::Group(group) => assert!(*group < s.groups.len()),
            }
        }
    }

    #[test]
    fn legs_stand_under_their_chain_and_chains_under_their_heading() {
        let mut s = shared(By::Verdict);
        let mut tree = Tree::new(&s);
        let chains = s.visible.len();
        assert_eq!(tree.rows(), chains + s.groups.len());
        check(&tree, &s);
        tree.moved(Action::Top, &mut s);
        assert_eq!(tree.row(0), Row::Group(0));
        tree.moved(Action::Down, &mut s);
        tree.fold(&mut s, Some(true));
        let legs = s.chain().map_or(0, |chain| chain.legs.len());
        assert!(legs > 1);
        assert_eq!((tree.row(1), tree.row(2)), (Row::Chain(0), Row::Leg(0, 0)));
        assert_eq!(tree.rows(), chains + s.groups.len() + legs);
        check(&tree, &s);
    }

    #[test]
    fn a_folded_group_is_its_heading_and_a_fault_in_it_opens_it() {
        let mut s = shared(By::Verdict);
        let mut tree = Tree::new(&s);
        let open = tree.rows();
        tree.moved(Action::Top, &mut s);
        tree.fold(&mut s, None);
        let chains = s.groups.first().map_or(0, |group| group.chains);
        assert_eq!(tree.rows(), open - chains);
        assert_eq!(tree.row_of(0), 0);
        check(&tree, &s);
        assert!(matches!(tree.fault(&mut s, false), Step::Done));
        assert_eq!((tree.rows(), tree.row(tree.list.cursor)), (open, Row::Chain(0)));
        tree.fold(&mut s, Some(false));
        assert_eq!(tree.row(tree.list.cursor), Row::Group(0), "what is folded already goes to its heading");
    }

    #[test]
    fn without_groups_rows_are_places() {
        let mut s = shared(By::Nothing);
        let mut tree = Tree::new(&s);
        assert_eq!(tree.rows(), s.visible.len());
        tree.moved(Action::Bottom, &mut s);
        assert_eq!(tree.place(&s), s.visible.len() - 1);
        check(&tree, &s);
    }
}
