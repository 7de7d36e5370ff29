"""Several controllers: which one drives the satellite."""

from __future__ import annotations

from antiphon_satellite.election import Candidate, Election, Pair
from antiphon_satellite.streams import Streams


def candidate(host: str, controller_id: str | None = None) -> Candidate[str]:
    return Candidate(Pair(host, controller_id), f"{host}/{controller_id}")


def test_a_controller_that_a_person_added_comes_before_a_daemon() -> None:
    election: Election[str] = Election()
    daemon, home = candidate("10.0.0.2", "antiphon/a"), candidate("10.0.0.2")
    election.join(daemon)
    assert election.elect(at_rest=True) is daemon
    election.join(home)
    assert election.elect(at_rest=False) is daemon, "never in the middle of a turn"
    assert election.elect(at_rest=True) is home


def test_the_configured_one_comes_first_by_host_or_by_id() -> None:
    for wanted in ("10.0.0.3", "antiphon/b"):
        election: Election[str] = Election(wanted)
        home, daemon = candidate("10.0.0.2"), candidate("10.0.0.3", "antiphon/b")
        election.join(home)
        election.elect(at_rest=True)
        election.join(daemon)
        assert election.elect(at_rest=True) is daemon


def test_among_equals_the_active_one_stays() -> None:
    election: Election[str] = Election()
    first, second = candidate("10.0.0.2", "antiphon/a"), candidate("10.0.0.3", "antiphon/b")
    election.join(first)
    election.elect(at_rest=True)
    election.join(second)
    assert election.elect(at_rest=True) is first


def test_when_the_active_one_goes_the_next_takes_over_at_once() -> None:
    election: Election[str] = Election()
    home, daemon = candidate("10.0.0.2"), candidate("10.0.0.2", "antiphon/a")
    election.join(home)
    election.join(daemon)
    election.elect(at_rest=True)
    election.leave(home)
    assert election.elect(at_rest=False) is daemon
    election.leave(daemon)
    assert election.elect(at_rest=False) is None


def test_only_the_same_pair_replaces_a_half_open_connection() -> None:
    election: Election[str] = Election()
    home, daemon, again = candidate("10.0.0.2"), candidate("10.0.0.2", "antiphon/a"), candidate("10.0.0.2")
    assert election.join(home) is None
    assert election.join(daemon) is None
    election.elect(at_rest=True)
    assert election.join(again) is home
    assert election.candidates == [daemon, again]


def test_two_streams_on_one_socket_are_told_apart_by_their_timestamps() -> None:
    streams = Streams()
    old = streams.begin(0)
    assert streams.chunk(0, 46.4) is old
    assert streams.chunk(46, 46.4) is old
    new = streams.begin(0)
    assert streams.chunk(92, 46.4) is old
    assert streams.chunk(0, 46.4) is new
    assert streams.chunk(138, 46.4) is old
    assert streams.end(184) is old
    assert streams.chunk(46, 46.4) is new
    assert streams.end(92) is new
    assert streams.chunk(0, 46.4) is None


def test_streams_without_timestamps_follow_each_other() -> None:
    streams = Streams()
    only = streams.begin(None)
    assert streams.chunk(None, 10) is only
    assert streams.end(None) is only
    assert streams.end(None) is None


def test_streams_that_never_end_are_forgotten() -> None:
    streams = Streams()
    first = streams.begin(0)
    for _ in range(4):
        streams.begin(1000)
    assert streams.chunk(0, 10) is not first
