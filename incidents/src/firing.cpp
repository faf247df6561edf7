// Which message is news for the firings of an alert.
//
// Sources repeat a firing each minute and a resolve for 15 minutes, several replicas do so at once, and messages come
// late and in any order. What counts:
//
// F1  A message that states its start is about the firing of that start. A firing that states none is about the newest
//     firing that counts, or begins one; a resolve that states none is about all that are active.
// F2  A firing message vouches until its `ends_at`: the latest such time holds. A message without an end vouches until
//     told otherwise.
// F3  A firing whose end was reported revives only by a message that was made after that end: its `ends_at` minus the
//     longest lifetime that was known before. Where none is known, the message teaches it and the next one
//     decides. So a late message of one replica revives nothing, and the repeats of another replica, which fires under
//     the same start, do. A lifetime of more than twice what a message shows was learned by a clock that was wrong, and
//     shrinks: a clock that was set does not keep a firing ended for as long as it was wrong.
// F4  A firing that expired revives by any message that vouches for it.
// F5  A resolve ends the firing of its own start and no other. One whose end is not after an end that was reported
//     before says nothing: it is the same resolve sent again, and what has revived since then stays.
// F6  A resolve of an unknown start ends nothing, so that no replica hides the firing of another. It is kept, as a
//     firing that has ended, so that its firing message does not come as news when it is late. Of a sender that does
//     not merge a resolve of an unknown, later start ends what began before and nobody vouches for with an end: a
//     caller that states the time of sending as the start of each message means what it has sent before.
// F7  What a person dismissed counts no more, nor does an unknown firing whose stated start is no later than the newest
//     firing that was known then. Messages about them are kept, for the case that the person opens the incident again.
// F8  At most `max_firings` are kept: first those go that have ended, then the oldest. What has ended takes no room
//     from what counts.
// F9  A sender that merges (`Alert::merged`) speaks with one voice, in order, and about one firing at a time, whose
//     start it sets back when it hears of an earlier one. Where nobody vouches with an end, its latest message holds: a
//     firing message revives what it reported ended, and is news with an earlier start than what has ended; a resolve
//     ends what began before the end that it gives, even where that end was reported before.
#include <fusebox/incidents/firing.hpp>

#include <iterator>
#include <ranges>

namespace fusebox::incidents {

namespace {

using std::chrono::microseconds;

constexpr FiringNews no_news{.effect = FiringEffect::nothing, .at = {}, .speaks_for_all = false};

/// The later of the two; none where both are.
std::optional<WallTime> later(const std::optional<WallTime>& left, const std::optional<WallTime>& right) {
    return left && right ? std::max(left, right) : left ? left : right;
}

Firing* find(Firings& firings, WallTime starts_at) {
    const auto found = std::ranges::find(firings.all, starts_at, &Firing::starts_at);
    return found == firings.all.end() ? nullptr : &*found;
}

Firing* newest_that_counts(Firings& firings) {
    Firing* newest = nullptr;
    for (auto& firing : firings.all) {
        if (firing.counts() && (newest == nullptr || firing.began() >= newest->began())) newest = &firing;
    }
    return newest;
}

/// F8: whether what counts no more may come in.
bool has_room_for_ended(const std::vector<Firing>& all) {
    return all.size() < max_firings || !std::ranges::all_of(all, &Firing::counts);
}

/// F8. `kept` stays in any case.
void make_room(std::vector<Firing>& all, WallTime kept) {
    while (all.size() > max_firings) {
        const auto may_go = [kept](const Firing& firing) { return firing.starts_at != kept; };
        auto victim = std::ranges::find_if(all, [&](const Firing& each) { return may_go(each) && !each.counts(); });
        if (victim == all.end()) victim = std::ranges::find_if(all, may_go);
        all.erase(victim);
    }
}

void insert(Firings& firings, const Firing& firing) {
    const auto place = std::ranges::upper_bound(firings.all, firing.starts_at, {}, &Firing::starts_at);
    firings.all.insert(place, firing);
    make_room(firings.all, firing.starts_at);
}

/// When the source made the message, by the lifetime that is known; none where that cannot be told (F3).
std::optional<WallTime> made_at(const Firings& firings, const Firing& firing, const Alert& alert) {
    if (!alert.ends_at) return std::nullopt;
    microseconds lifetime = firing.lifetime;
    for (const auto& known : firings.all) {
        if (firing.lifetime == microseconds::zero() || known.lifetime <= 2 * firing.lifetime)
            lifetime = std::max(lifetime, known.lifetime);
    }
    if (lifetime == microseconds::zero()) return std::nullopt;
    return *alert.ends_at - lifetime;
}

/// F3
void learn_lifetime(Firing& firing, WallTime ends_at, WallTime now) {
    const microseconds shown = ends_at - now;
    firing.lifetime = shown < firing.lifetime / 2 ? firing.lifetime / 2 : std::max(firing.lifetime, shown);
}

/// F2. True: the firing is not as it was.
bool vouch(Firing& firing, const Alert& alert, WallTime now) {
    const Firing before = firing;
    if (!alert.ends_at) {
        firing.ends_at.reset();
    } else {
        // A firing that has no end yet gets one: from now on its source sends ends.
        firing.ends_at = later(firing.ends_at, alert.ends_at);
        learn_lifetime(firing, *alert.ends_at, now);
    }
    return firing != before;
}

FiringNews about(Firings& firings, const Firing& firing, FiringEffect effect) {
    return {.effect = effect, .at = firing.began(), .speaks_for_all = newest_that_counts(firings) == &firing};
}

FiringNews begin(Firings& firings, const Alert& alert, WallTime now) {
    Firing firing{.starts_at = alert.starts_at, .first_seen = now};
    // One that ended in the same microsecond keeps its start, which names it.
    while (!alert.start_stated && find(firings, firing.starts_at) != nullptr) firing.starts_at += microseconds{1};
    if (alert.merged && std::ranges::any_of(firings.all, [&](const Firing& known) {
            return known.active() && known.began() > firing.began();
        })) {
        return no_news;  // F9
    }
    vouch(firing, alert, now);
    // F7. Where no start is stated the firing begins now, whatever a clock that was set back says.
    firing.dismissed = alert.start_stated && firings.dismissed_until && firing.began() <= *firings.dismissed_until;
    if (firing.dismissed && !has_room_for_ended(firings.all)) return no_news;
    const auto effect = firing.dismissed ? FiringEffect::extended : FiringEffect::began;
    insert(firings, firing);
    return about(firings, *find(firings, firing.starts_at), effect);
}

FiringNews fires(Firings& firings, const Alert& alert, WallTime now) {
    Firing* firing = alert.start_stated ? find(firings, alert.starts_at) : newest_that_counts(firings);  // F1
    if (firing == nullptr) return begin(firings, alert, now);
    if (firing->active()) {
        const bool changed = vouch(*firing, alert, now);
        return about(firings, *firing, firing->counts() || changed ? FiringEffect::extended : FiringEffect::nothing);
    }

    const auto made = made_at(firings, *firing, alert);
    const bool is_news = firing->expired() || alert.merged || (made && *made > *firing->reported_end);  // F4, F9, F3
    if (!is_news) {
        const auto lifetime = firing->lifetime;
        if (alert.ends_at) learn_lifetime(*firing, *alert.ends_at, now);
        return firing->lifetime == lifetime ? no_news : about(firings, *firing, FiringEffect::extended);
    }
    firing->ended_at.reset();
    firing->ends_at.reset();
    vouch(*firing, alert, now);
    return about(firings, *firing, firing->dismissed ? FiringEffect::extended : FiringEffect::revived);
}

/// The end that a resolve reports for what began at `began`, as it can be: not before the start, not after now.
WallTime end_of(const Alert& alert, WallTime began, WallTime now) {
    return alert.ends_at && *alert.ends_at >= began && *alert.ends_at <= now ? *alert.ends_at : now;
}

/// F5 for one firing. What it changes in `news` is whether something that counted has ended, and when.
void end(Firing& firing, const Alert& alert, WallTime now, FiringNews& news) {
    std::optional<WallTime> stated;
    if (alert.ends_at && *alert.ends_at >= firing.began()) stated = std::min(*alert.ends_at, now);
    const bool is_latest_word = alert.merged && firing.active() && !firing.ends_at;  // F9
    if (stated && firing.reported_end && *stated <= *firing.reported_end && !is_latest_word) return;
    if (!firing.active() && !firing.expired() && !stated) return;

    const WallTime ended_at = end_of(alert, firing.began(), now);
    const bool counted = firing.counts();
    firing.reported_end = later(firing.reported_end, stated.value_or(now));
    firing.ended_at = ended_at;
    if (counted) {
        news.at = news.effect == FiringEffect::ended ? std::max(news.at, ended_at) : ended_at;
        news.effect = FiringEffect::ended;
    } else if (news.effect == FiringEffect::nothing) {
        news.effect = FiringEffect::extended;
    }
}

/// Whether a resolve of another start ends `firing` all the same (F6, F9).
bool is_covered(const Firing& firing, const Alert& alert, bool start_known, WallTime now) {
    if (!firing.active() || firing.ends_at) return false;
    if (alert.merged) return firing.began() <= end_of(alert, alert.starts_at, now);
    return !start_known && firing.began() < std::min(alert.starts_at, now);
}

FiringNews resolves(Firings& firings, const Alert& alert, WallTime now) {
    FiringNews news = no_news;
    if (!alert.start_stated) {  // F1
        for (auto& firing : firings.all) {
            if (firing.active()) end(firing, alert, now, news);
        }
        return news;
    }

    Firing* known = find(firings, alert.starts_at);
    for (auto& firing : firings.all) {
        if (&firing == known || is_covered(firing, alert, known != nullptr, now)) {
            end(firing, alert, now, news);
        }
    }
    if (known == nullptr && !firings.all.empty() && has_room_for_ended(firings.all)) {
        Firing over{.starts_at = alert.starts_at, .first_seen = now};
        over.ended_at = end_of(alert, over.began(), now);
        over.reported_end = over.ended_at;
        insert(firings, over);
        if (news.effect == FiringEffect::nothing) news.effect = FiringEffect::extended;
    }
    return news;
}

}  // namespace

bool Firings::any_counts() const noexcept { return std::ranges::any_of(all, &Firing::counts); }

std::optional<WallTime> Firings::expires_at() const noexcept {
    std::optional<WallTime> last;
    for (const auto& firing : all) {
        if (!firing.counts()) continue;
        if (!firing.ends_at) return std::nullopt;
        last = later(last, firing.ends_at);
    }
    return last;
}

void Firings::dismiss(WallTime now) {
    for (auto& firing : all) {
        firing.dismissed = true;
        dismissed_until = later(dismissed_until, std::min(firing.began(), now));
    }
}

void Firings::restore(WallTime now) {
    for (auto& firing : all) firing.dismissed = false;
    dismissed_until.reset();
    expire(now);
}

bool Firings::expire(WallTime now) {
    bool ended = false;
    for (auto& firing : all) {
        if (!firing.active() || !firing.ends_at || *firing.ends_at > now) continue;
        firing.ended_at = firing.ends_at;
        ended = true;
    }
    return ended;
}

FiringNews take_in(Firings& firings, const Alert& alert, WallTime now) {
    return alert.resolved ? resolves(firings, alert, now) : fires(firings, alert, now);
}

}  // namespace fusebox::incidents
