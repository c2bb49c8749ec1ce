//! A cursor in a list of which only the rows in view are ever looked at.

use super::keys::Action;

/// Rows that are shown above a row that was looked for.
const ABOVE: usize = 3;

#[derive(Clone, Copy, Debug, Default)]
pub struct List {
    pub cursor: usize,
    /// The first row in view.
    top: usize,
    /// Rows in view when it was drawn last.
    height: usize,
}

impl List {
    /// With the cursor on this row.
    pub fn on(cursor: usize) -> List {
        List { cursor, ..List::default() }
    }

    /// Puts the cursor on this row, and the view so that it stands near its top.
    pub fn reveal(&mut self, row: usize) {
        (self.cursor, self.top) = (row, row.saturating_sub(ABOVE));
    }

    /// The rows in view, when there are `rows` and room for `height`; the cursor is among them.
    pub fn window(&mut self, height: usize, rows: usize) -> std::ops::Range<usize> {
        self.height = height;
        self.cursor = self.cursor.min(rows.saturating_sub(1));
        self.top = self.top.min(rows.saturating_sub(height));
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.top..(self.top + height).min(rows)
    }

    /// Moves the cursor; whether the action was one of a list.
    pub fn act(&mut self, action: Action, rows: usize) -> bool {
        let moved = moved(action, self.cursor, self.height, rows.saturating_sub(1));
        self.cursor = moved.unwrap_or(self.cursor);
        moved.is_some()
    }

    /// Moves the cursor to the row on this line of the screen, where the first row in view stands on line `top`;
    /// whether there is one.
    pub fn click(&mut self, line: u16, top: u16, rows: usize) -> bool {
        let row = line.checked_sub(top).and_then(|line| self.at(usize::from(line), rows));
        self.cursor = row.unwrap_or(self.cursor);
        row.is_some()
    }

    /// There are only so many rows any more.
    pub fn shrink(&mut self, rows: usize) {
        self.cursor = self.cursor.min(rows.saturating_sub(1));
    }

    /// The row that stands so many lines below the first in view.
    pub fn at(&self, line: usize, rows: usize) -> Option<usize> {
        (line < self.height).then_some(self.top + line).filter(|row| *row < rows)
    }
}

/// Where an action of lists leads from `at`, at most to `last`. `height`: rows in view. `None`: it is none of lists.
pub(super) fn moved(action: Action, at: usize, height: usize, last: usize) -> Option<usize> {
    let page = height.max(1);
    let to = match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::HalfDown => at + page.div_ceil(2),
        Action::HalfUp => at.saturating_sub(page.div_ceil(2)),
        Action::PageDown => at + page,
        Action::PageUp => at.saturating_sub(page),
        Action::Top => 0,
        Action::Bottom => last,
        _ => return None,
    };
    Some(to.min(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_view_follows_the_cursor() {
        let mut list = List::default();
        assert_eq!(list.window(5, 20), 0..5);
        list.act(Action::PageDown, 20);
        list.act(Action::Down, 20);
        assert_eq!((list.window(5, 20), list.cursor), (2..7, 6));
        list.act(Action::Bottom, 20);
        assert_eq!(list.window(5, 20), 15..20);
        assert_eq!((list.window(5, 3), list.cursor), (0..3, 2));
        assert_eq!((list.at(2, 3), list.at(3, 3)), (Some(2), None));
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_in_view(
            steps in prop::collection::vec((0_usize..8, 0_usize..30, 0_usize..12), 1..40),
        ) {
            let actions = [Action::Down, Action::Up, Action::HalfDown, Action::HalfUp, Action::PageDown,
                           Action::PageUp, Action::Top, Action::Bottom];
            let mut list = List::default();
            for (action, rows, height) in steps {
                if let Some(action) = actions.get(action) {
                    list.act(*action, rows);
                }
                let window = list.window(height, rows);
                prop_assert!(rows == 0 || height == 0 || window.contains(&list.cursor));
                prop_assert!(window.end <= rows && window.len() <= height);
            }
        }
    }
}
