//! Which of a flow's machines hears what TCP says beside its bytes: segments that come again, resets, messages of ICMP.

use crate::base::Timestamp;
use crate::stream::{Context, Note, Side, Signs};

use super::http1::Http;
use super::machines::{Machines, Place};
use super::multiplex::Multiplex;
use super::sealed::Sealed;
use super::watch::Watch;
use super::{Inline, Machine, Protocols, Tag, WATCHED, direction};

/// One that may listen. Whether it does, it tells when it is asked.
enum Listener<'a> {
    Http(&'a mut Http),
    Http2(&'a mut Multiplex),
    Sealed(&'a mut Sealed),
    Watch(&'a mut Watch),
}

impl Machines {
    /// `None`: what this flow does asks for nothing but bytes.
    fn listener(&mut self, index: Option<usize>) -> Option<Listener<'_>> {
        let Place { http, other } = self.get_mut(index?)?;
        match other {
            None => Some(Listener::Http(http)),
            Some(Machine::Http2(http2)) => Some(Listener::Http2(http2)),
            Some(Machine::Sealed(sealed)) => Some(Listener::Sealed(sealed)),
            Some(Machine::Watch(watch)) => Some(Listener::Watch(watch)),
            Some(Machine::Tls(tls)) => tls.watch().map(Listener::Watch),
            Some(_) => None,
        }
    }
}

impl Listener<'_> {
    /// Bytes of this side came again; `of`: where they stand in their direction's stream, and how many they are. `true`:
    /// what the next segments say beside their bytes is wanted.
    fn again(self, inline: &Inline, side: Side, ts: Timestamp, of: (u64, usize)) -> bool {
        match self {
            Listener::Http(http) => http.again(side, ts, of),
            Listener::Http2(http2) => http2.again(side, ts, of),
            Listener::Sealed(sealed) => {
                sealed.again(inline, side, ts, of);
                true
            }
            Listener::Watch(watch) => watch.again(side, ts, of),
        }
    }

    /// What a segment of this side says; `usual`: the TTL that its packets have. `true`: what the next ones say is wanted too.
    fn signs(self, inline: &Inline, side: Side, usual: u8, signs: Signs) -> bool {
        match self {
            Listener::Http(http) => http.signs(side, usual, signs),
            Listener::Http2(http2) => http2.signs(side, usual, signs),
            Listener::Sealed(sealed) => sealed.signs(inline, side, usual, signs),
            Listener::Watch(watch) => watch.signs(side, usual, signs),
        }
    }

    /// ICMP says that a segment of this side was not delivered. `false`: nothing waits here that this could be told with.
    fn rejected(self, side: Side, note: Note) -> bool {
        match self {
            Listener::Http(http) => http.rejected(side, note),
            Listener::Http2(http2) => http2.rejected(side, note),
            Listener::Watch(watch) => watch.rejected(side, note),
            Listener::Sealed(_) => false,
        }
    }
}

impl<S> Protocols<S> {
    #[cold]
    pub(super) fn tell_again(
        &mut self,
        context: Context<'_>,
        tag: &mut u64,
        inline: &mut Inline,
        side: Side,
        (offset, bytes): (u64, &[u8]),
    ) {
        let (of, ts) = ((offset, bytes.len()), context.track.last);
        let heard = if let Some(talk) = self.shared.talks.get_mut(Tag(*tag).talk()) {
            talk.again(inline.beside(side.index()), direction(Tag(*tag).client(), side), ts, of);
            true
        } else {
            self.machines.listener(Tag(*tag).machine()).is_some_and(|listener| listener.again(inline, side, ts, of))
        };
        if heard {
            *tag |= WATCHED;
        }
        if let Some(http) = self.machines.plain(Tag(*tag).machine()).filter(|http| http.disagrees(side, offset, bytes))
        {
            http.conflict = true;
            self.shared.counters.overlap_conflicts += 1;
        }
    }

    #[cold]
    pub(super) fn tell_signs(
        &mut self,
        context: Context<'_>,
        tag: &mut u64,
        inline: &Inline,
        side: Side,
        signs: Signs,
    ) {
        let usual = context.opened.ttl[side.index()];
        let wanted = if let Some(talk) = self.shared.talks.get_mut(Tag(*tag).talk()) {
            talk.signs(direction(Tag(*tag).client(), side), usual, signs)
        } else {
            let listener = self.machines.listener(Tag(*tag).machine());
            listener.is_some_and(|listener| listener.signs(inline, side, usual, signs))
        };
        *tag = if wanted { *tag | WATCHED } else { *tag & !WATCHED };
    }

    #[cold]
    pub(super) fn tell_rejected(&mut self, context: Context<'_>, tag: u64, side: Side, note: Note) {
        let listener = self.machines.listener(Tag(tag).machine());
        if !listener.is_some_and(|listener| listener.rejected(side, note)) {
            self.shared.rejected(context, tag, side, note);
        }
    }
}
