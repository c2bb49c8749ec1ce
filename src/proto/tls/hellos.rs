//! What handshake messages mean for the keys (RFC 8446 §7, RFC 5246 §7).

use super::facts::Early;
use super::half::{Open, Phase, Stage};
use super::messages::Message;
use super::schedule;
use super::secrets::{Label, Secret};
use super::session::{Session, index};
use super::{Blind, Event, Tools};
use crate::base::limits;
use crate::model::Direction::{self, ClientToServer, ServerToClient};
use crate::wire::tls::handshake::{
    CLIENT_HELLO, ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, FINISHED, KEY_UPDATE, SERVER_HELLO,
};
use crate::wire::tls::suite::{Cipher, Suite};
use crate::wire::tls::{TLS_1_2, TLS_1_3, hello};

impl Session {
    /// Looks again for secrets that were missing. Nothing happens if none came; what waited is told by
    /// [`Session::next`].
    pub fn retry(&mut self, tools: &mut Tools) {
        if self.blind.is_some() || !self.wants_secrets() {
            return;
        }
        if self.facts.version == Some(TLS_1_2) && self.next_keys.iter().all(Option::is_none) {
            self.master_keys(tools);
        }
        for dir in [ServerToClient, ClientToServer] {
            match self.half(dir).phase {
                Phase::Wait(Stage::Early) => {}
                Phase::Wait(stage) => self.enter(tools, dir, stage, false),
                _ => {}
            }
        }
    }

    /// Whether secrets would let more be read.
    pub(super) fn wants_secrets(&self) -> bool {
        let waits = |h: &super::half::Half| match h.phase {
            Phase::Wait(stage) => stage != Stage::Early,
            Phase::Clear => self.facts.version == Some(TLS_1_2) && self.next_keys.iter().all(Option::is_none),
            Phase::Open(_) | Phase::Blind => false,
        };
        self.halves.iter().any(waits)
    }

    pub(super) fn messages(&mut self, tools: &mut Tools, dir: Direction, mut bytes: &[u8]) {
        while let Some(message) = self.half_mut(dir).messages.next(&mut bytes) {
            if message.too_long {
                tools.counted.hellos_too_long += 1;
                continue;
            }
            self.message(tools, dir, &message);
        }
    }

    fn message(&mut self, tools: &mut Tools, dir: Direction, message: &Message) {
        let stage = match &self.half(dir).phase {
            Phase::Open(open) => Some(open.stage),
            _ => None,
        };
        match (message.kind, dir, stage) {
            (CLIENT_HELLO, ClientToServer, None | Some(Stage::Master)) => self.client_hello(&message.body),
            (SERVER_HELLO, ServerToClient, None | Some(Stage::Master)) => self.server_hello(tools, &message.body),
            (ENCRYPTED_EXTENSIONS, ServerToClient, Some(Stage::Handshake)) => {
                self.encrypted_extensions(tools, &message.body);
            }
            (END_OF_EARLY_DATA, ClientToServer, Some(Stage::Early)) => self.enter(tools, dir, Stage::Handshake, false),
            (FINISHED, _, Some(Stage::Handshake)) => self.enter(tools, dir, Stage::Application, false),
            (KEY_UPDATE, _, Some(Stage::Application)) => self.key_update(tools, dir),
            _ => {}
        }
    }

    fn client_hello(&mut self, body: &[u8]) {
        let Some(hello) = hello::client(body) else {
            // Without its random no secret is found: nothing behind it is worth keeping.
            if self.facts.client_random.is_none() {
                self.go_blind(Blind::NoHello);
            }
            return;
        };
        self.facts.client(&hello);
        self.session_id = hello.session_id.to_vec();
        self.events.push_back(Event::Hello);
    }

    fn server_hello(&mut self, tools: &mut Tools, body: &[u8]) {
        let Some(hello) = hello::server(body) else { return };
        if hello.is_retry() {
            self.facts.hello_retry = true;
            for half in &mut self.halves {
                half.changed = false;
            }
            if self.facts.early_data.is_some() {
                self.facts.early_data = Some(Early::Refused);
            }
            return;
        }
        let session_id = std::mem::take(&mut self.session_id);
        self.facts.server(&hello, &session_id);
        self.events.push_back(Event::Hello);
        match self.facts.version {
            _ if self.facts.client_random.is_none() => self.go_blind(Blind::NoHello),
            Some(TLS_1_2 | TLS_1_3) if self.suite().is_none() => self.go_blind(Blind::Suite(hello.suite)),
            Some(TLS_1_3) => self.traffic_keys(tools),
            Some(TLS_1_2) => {
                self.next_keys = [None, None];
                self.master_keys(tools);
                if self.next_keys.iter().all(Option::is_none) && !tools.secrets.may_grow {
                    self.go_blind(self.miss(tools));
                    return;
                }
                for dir in [ClientToServer, ServerToClient] {
                    if std::mem::take(&mut self.half_mut(dir).changed) {
                        self.change_cipher(tools, dir);
                    }
                }
            }
            other => self.go_blind(Blind::Version(other.unwrap_or_default())),
        }
    }

    /// The suite chosen. `None`: it cannot be read.
    fn suite(&self) -> Option<&'static Suite> {
        let of_1_3 = self.facts.is_1_3();
        self.facts.suite().filter(|s| s.cipher != Cipher::Unread && s.is_1_3() == of_1_3)
    }

    /// Why there are no keys. Of a handshake that failed, the logs that know it have those of the handshake alone.
    pub(super) fn miss(&self, tools: &Tools) -> Blind {
        let known = self.facts.client_random.as_ref().is_some_and(|random| tools.secrets.knows(random));
        if tools.secrets.is_empty() || known { Blind::NoSecrets } else { Blind::SecretsMiss }
    }

    /// Derives the keys of TLS 1.2 where the master secret is known.
    fn master_keys(&mut self, tools: &Tools) {
        let facts = &self.facts;
        let (Some(suite), Some(client), Some(server)) = (self.suite(), &facts.client_random, &facts.server_random)
        else {
            return;
        };
        let Some(master) = tools.secrets.find(client, Label::Master) else { return };
        let Some(keys) = schedule::of_master(suite, facts.encrypt_then_mac, master, client, server) else { return };
        self.next_keys = keys.map(Some);
    }

    /// From here on a direction of TLS 1.2 speaks with the next keys (RFC 5246 §7.1).
    pub(super) fn change_cipher(&mut self, tools: &Tools, dir: Direction) {
        if self.facts.version == Some(TLS_1_2) {
            self.enter(tools, dir, Stage::Master, false);
        }
    }

    /// The first keys of both directions of TLS 1.3.
    fn traffic_keys(&mut self, tools: &Tools) {
        let known = self.facts.client_random.is_some_and(|r| tools.secrets.knows(&r));
        if !known && !tools.secrets.may_grow {
            self.go_blind(self.miss(tools));
            return;
        }
        self.enter(tools, ServerToClient, Stage::Handshake, false);
        // Whether early data was accepted stands in EncryptedExtensions.
        let answer_readable = matches!(&self.half(ServerToClient).phase, Phase::Open(o) if o.stage == Stage::Handshake)
            || matches!(self.half(ServerToClient).phase, Phase::Wait(_));
        let early_readable = self.open(tools, ClientToServer, Stage::Early).is_some();
        match self.facts.early_data {
            None => self.enter(tools, ClientToServer, Stage::Handshake, false),
            Some(Early::Offered) if answer_readable => {
                self.half_mut(ClientToServer).phase = Phase::Wait(Stage::Early);
            }
            Some(Early::Offered) if early_readable => {
                self.enter(tools, ClientToServer, Stage::Early, true);
            }
            Some(_) => self.enter(tools, ClientToServer, Stage::Handshake, true),
        }
    }

    /// The server's answer about early data is lost: its keys are tried, and those that follow them.
    pub(super) fn early_left_open(&mut self, tools: &Tools) {
        let [client, server] = &self.halves;
        let lost = match &server.phase {
            Phase::Open(open) => open.stage == Stage::Application || server.ending,
            Phase::Wait(_) => server.ending || client.ending,
            Phase::Clear => false,
            Phase::Blind => true,
        };
        if matches!(client.phase, Phase::Wait(Stage::Early)) && (lost || client.ending) {
            let early = self.open(tools, ClientToServer, Stage::Early).is_some();
            let stage = if early { Stage::Early } else { Stage::Handshake };
            self.enter(tools, ClientToServer, stage, true);
        }
    }

    fn encrypted_extensions(&mut self, tools: &Tools, body: &[u8]) {
        let read = hello::encrypted_extensions(body);
        self.facts.alpn = read.alpn().map(Into::into);
        let accepted = read.early_data();
        if self.facts.early_data == Some(Early::Offered) {
            self.facts.early_data = Some(if accepted { Early::Accepted } else { Early::Refused });
        }
        self.events.push_back(Event::Hello);
        if !matches!(self.half(ClientToServer).phase, Phase::Wait(Stage::Early)) {
            return;
        }
        // Without its secret, early data is passed over like one that was refused.
        if accepted && self.open(tools, ClientToServer, Stage::Early).is_some() {
            self.enter(tools, ClientToServer, Stage::Early, false);
        } else {
            self.enter(tools, ClientToServer, Stage::Handshake, true);
        }
    }

    /// RFC 8446 §4.6.3.
    fn key_update(&mut self, tools: &Tools, dir: Direction) {
        let next = self.successors(tools, dir, Stage::Application).into_iter().next();
        match next {
            Some(open) => self.half_mut(dir).open(open),
            None => self.lose_sight(tools, dir),
        }
    }

    /// A direction begins to speak with the keys of this stage.
    fn enter(&mut self, tools: &Tools, dir: Direction, stage: Stage, forgiving: bool) {
        let passed = self.half(dir).passed;
        if let Some(mut open) = self.open(tools, dir, stage) {
            open.forgiving = forgiving;
            if stage == Stage::Master {
                open.seq = passed;
            } else if passed > 0 {
                // How many of the records that went by were of the handshake is not known.
                open.seq = passed.saturating_sub(limits::TLS_HANDSHAKE_RECORDS);
                if stage != Stage::Application
                    && let Some(mut application) = self.open(tools, dir, Stage::Application)
                {
                    application.seq = open.seq;
                    open = application;
                }
                open.forgiving = true;
                self.half_mut(dir).slack += passed.min(limits::TLS_HANDSHAKE_RECORDS);
            }
            let half = self.half_mut(dir);
            half.passed = 0;
            half.open(open);
        } else if tools.secrets.may_grow {
            self.half_mut(dir).phase = Phase::Wait(stage);
        } else if stage == Stage::Handshake
            && let Some(mut open) = self.open(tools, dir, Stage::Application)
        {
            open.forgiving = true;
            self.half_mut(dir).open(open);
        } else {
            self.lose_sight(tools, dir);
        }
        self.ready = !self.waiting.is_empty();
    }

    /// Ready keys of a stage. `None`: their secret is not known.
    fn open(&mut self, tools: &Tools, dir: Direction, stage: Stage) -> Option<Open> {
        let label = match (stage, dir) {
            (Stage::Master, _) => {
                let opener = self.next_keys.get_mut(index(dir))?.take()?;
                return Some(Open { stage, opener, seq: 0, secret: None, forgiving: false });
            }
            (Stage::Early, ClientToServer) => Label::ClientEarly,
            (Stage::Early, ServerToClient) => return None,
            (Stage::Handshake, ClientToServer) => Label::ClientHandshake,
            (Stage::Handshake, ServerToClient) => Label::ServerHandshake,
            (Stage::Application, ClientToServer) => Label::ClientApplication,
            (Stage::Application, ServerToClient) => Label::ServerApplication,
        };
        let secret = tools.secrets.find(self.facts.client_random.as_ref()?, label)?;
        self.of_secret(stage, secret)
    }

    fn of_secret(&self, stage: Stage, secret: &Secret) -> Option<Open> {
        let opener = schedule::of_traffic(self.suite()?, secret)?;
        // Only these keys are followed by others that come from them.
        let secret = if stage == Stage::Application { Secret::of(secret.bytes()) } else { None };
        Some(Open { stage, opener, seq: 0, secret, forgiving: false })
    }

    /// The keys that may follow those of a stage, the next first.
    pub(super) fn successors(&mut self, tools: &Tools, dir: Direction, stage: Stage) -> Vec<Open> {
        let stages: &[Stage] = match stage {
            Stage::Master => &[Stage::Master],
            Stage::Early => &[Stage::Handshake, Stage::Application],
            Stage::Handshake => &[Stage::Application],
            Stage::Application => {
                let (Some(suite), Phase::Open(open)) = (self.suite(), &self.half(dir).phase) else { return Vec::new() };
                let next = open.secret.as_ref().and_then(|secret| schedule::updated(suite, secret));
                return next.and_then(|secret| self.of_secret(stage, &secret)).into_iter().collect();
            }
        };
        stages.iter().filter_map(|&stage| self.open(tools, dir, stage)).collect()
    }

    /// A direction cannot be read any further.
    fn lose_sight(&mut self, tools: &Tools, dir: Direction) {
        self.half_mut(dir).go_blind();
        if self.halves.iter().all(super::half::Half::is_blind) && self.blind.is_none() {
            self.go_blind(self.miss(tools));
        }
    }

    /// Nothing can be read any further.
    pub(super) fn go_blind(&mut self, why: Blind) {
        for half in &mut self.halves {
            if !half.is_blind() {
                half.go_blind();
            }
        }
        self.next_keys = [None, None];
        self.waiting = super::waiting::Waiting::default();
        self.ready = false;
        if self.blind.is_none() {
            self.blind = Some(why);
            self.events.push_back(Event::Blind(why));
        }
    }
}
