//! What goes wrong, now and then.

use watchfire_signal::header::Target;

use super::{PICTURES, World};
use crate::{
    Broken,
    fault::{Fault, Point},
    liar::Known,
    platform::Mood,
    wire::{Passage, Weather},
};

const HOUR_MS: u64 = 3_600_000;

impl World {
    /// Something goes wrong, or is mended.
    ///
    /// # Errors
    /// [`Broken`]
    pub(super) async fn mishap(&self) -> Result<(), Broken> {
        if !self.chance.one_in(2) {
            return Ok(());
        }
        match self.chance.below(20) {
            0..3 => self.cut(),
            3..5 => self.mend_wire(),
            5..7 => self.change_weather(),
            7 => self.crash().await,
            8..11 => self.crash_somewhere(),
            11..13 => self.break_disk(),
            13 => self.mend_disks(),
            14 => self.change_mood(),
            15 => self.leap(),
            16 => self.back_up(),
            17 if self.around.cast.restores => self.restore().await?,
            _ => self.lie().await?,
        }
        Ok(())
    }

    /// A group of members loses the others, one way or both.
    fn cut(&self) {
        let count = self.around.cast.all().count();
        let inside = self.chance.next();
        let fault = match self.chance.below(3) {
            0 => Fault::Partitioned,
            1 => Fault::CutOneWay,
            _ => Fault::HalfOpen,
        };
        let passage = if fault == Fault::HalfOpen { Passage::HalfOpen } else { Passage::Cut };
        let is_in = |place: usize| inside >> place & 1 == 1;
        let mut cut = Vec::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let crosses = is_in(from) != is_in(to);
                if crosses && (fault != Fault::CutOneWay || is_in(from)) {
                    self.wire.set(from, to, passage);
                    cut.push((from, to));
                }
            }
        }
        // Half open counts where somebody waits for nothing.
        if !cut.is_empty() && fault != Fault::HalfOpen {
            self.faults.fired(fault);
        }
        self.trace.note("wire", format_args!("{fault}: {cut:?}"));
    }

    /// Members at even places lose those at odd ones, but for the one that lies.
    pub(super) fn part_even_from_odd(&self) {
        let places = || self.members.iter().map(|member| member.place);
        for (from, to) in places().flat_map(|from| places().map(move |to| (from, to))) {
            if from % 2 != to % 2 {
                self.wire.set(from, to, Passage::Cut);
            }
        }
    }

    fn mend_wire(&self) {
        self.trace.note("wire", "heals");
        self.wire.heal();
    }

    fn change_weather(&self) {
        let foul = self.chance.below(3) > 0;
        self.trace.note("wire", if foul { "foul weather" } else { "fine weather" });
        self.wire.set_weather(if foul { Weather::foul() } else { Weather::fine() });
    }

    async fn crash(&self) {
        let Some(member) = self.chance.pick(&self.members) else { return };
        if member.is_up() {
            self.faults.fired(Fault::CrashAtAnyTime);
            self.trace.note(member.name.as_str(), "crashes");
            member.crash().await;
        }
    }

    /// A process will end at a named point.
    fn crash_somewhere(&self) {
        let Some(member) = self.chance.pick(&self.members) else { return };
        let points: Vec<Point> = Point::all().collect();
        let point = self.chance.pick(&points).copied();
        member.disk.trouble(|trouble| trouble.crash = point);
    }

    fn break_disk(&self) {
        let Some(member) = self.chance.pick(&self.members) else { return };
        let kind = self.chance.below(3);
        self.trace.note(member.name.as_str(), format_args!("disk trouble {kind}"));
        member.disk.trouble(|trouble| match kind {
            0 => trouble.full = true,
            1 => trouble.slow = true,
            _ => trouble.torn = true,
        });
    }

    fn mend_disks(&self) {
        for member in &self.members {
            member.disk.trouble(|trouble| (trouble.full, trouble.slow) = (false, false));
        }
    }

    fn change_mood(&self) {
        for member in &self.members {
            let moody = self.chance.one_in(2);
            member.platform.set_mood(if moody { Mood::Moody } else { Mood::Fine });
        }
    }

    /// Hours pass.
    fn leap(&self) {
        let ms = self.chance.within(HOUR_MS / 4..8 * HOUR_MS);
        self.faults.fired(Fault::HoursPass);
        self.trace.note("time", format_args!("{} minutes pass", ms / 60_000));
        self.time.leap(ms);
    }

    async fn lie(&self) -> Result<(), Broken> {
        let Some(liar) = &self.liar else { return Ok(()) };
        // Where charters change, one is to end its log soon.
        let rarely = if self.around.cast.changes { 4 } else { 12 };
        if self.chance.one_in(rarely) {
            self.trace.note(liar.name.as_str(), "forks");
            liar.fork();
            if self.around.cast.changes {
                // Else hardly anybody takes anything of it.
                liar.repent();
            }
        }
        let known = self.chance.pick(&self.members).and_then(|member| member.node());
        let incident = known.as_ref().and_then(|node| {
            let place = node.incidents().iter().find(|one| !one.test)?.place.clone();
            Some(Target { log: place.log, index: place.index })
        });
        let known = known.and_then(|node| {
            let sets = node.alerts(None, 400);
            let set = self.chance.pick(&sets)?;
            Some((node.source(&set.place.log)?, set.clone()))
        });
        let known = match known {
            Some((source, set)) => {
                let index = set.place.index;
                let entry = source.entries(index, index + 1).await?.into_iter().next();
                let target = Target { log: set.place.log.clone(), index };
                let header = &set.header;
                entry.filter(|_| !header.test).map(|entry| Known {
                    name: set.name,
                    target,
                    class: header.class,
                    group: header.group.clone(),
                    leaf: entry.leaf,
                })
            }
            None => None,
        };
        liar.speak(self.time.now_ms(), PICTURES, known, incident).await
    }
}
