"""Which signed requests were taken already, in bounded memory and without an opening for replays.

Knows hotkeys, senders and nonces (the sender's clock in nanoseconds); does not know signatures or how old a nonce may
be. What is forgotten leaves a floor behind: a nonce at or below it is refused, because it may be a forgotten one.

The decision to question: the SDK keeps one nonce a sender, and refuses every lower one. Two requests that one validator
sends at once and that overtake each other then cost it an answer. Here each nonce is kept, and only a known one or one
below the floor is refused, which is IPsec's window (RFC 4303, section 3.4.3). Of too many hotkeys the one is forgotten
whose clock is furthest behind, not the one that was silent longest: the floor rises to its highest nonce, and that of
a hotkey whose clock is ahead would shut everyone else out until theirs has caught up.
"""

from __future__ import annotations

import heapq


class Nonces:
    """Takes the place of the SDK's dictionary of nonces, in which it looks and writes by "hotkey:uuid".

    For one thread: the event loop's. Only what was verified is written, so only registered hotkeys take memory.
    """

    def __init__(self, floor_ns: int, *, max_hotkeys: int = 1024, max_nonces: int = 256) -> None:
        """Begin with nothing known.

        Args:
            floor_ns: Nonces up to it are refused. The time of the start, in ns since 1970: another process may have
                taken requests signed before it.
            max_hotkeys: Kept; of more the one with the lowest highest nonce is forgotten, and the floor of all rises.
            max_nonces: Kept for each hotkey; of more the lowest is forgotten, and this hotkey's floor rises.
        """
        self._floor = floor_ns
        self._max_hotkeys = max_hotkeys
        self._max_nonces = max_nonces
        self._hotkeys: dict[str, _Window] = {}

    def __len__(self) -> int:
        """Return how many nonces are kept."""
        return sum(len(window.seen) for window in self._hotkeys.values())

    def taken(self, hotkey: str, uuid: str, nonce: int) -> bool:
        """Return whether a request with this nonce was, or may have been, taken."""
        window = self._hotkeys.get(hotkey)
        return nonce <= self._floor_of(hotkey) or (window is not None and (nonce, uuid) in window.seen)

    def get(self, key: str, default: object = None) -> int:
        """Return what a nonce must exceed; the SDK asks so. Never None, so it always compares."""
        return self._floor_of(key.partition(":")[0])

    def __getitem__(self, key: str) -> int:
        """Return what a nonce must exceed."""
        return self.get(key)

    def __setitem__(self, key: str, nonce: int) -> None:
        """Take a verified request; the SDK does so right after the signature, with no pause between.

        Raises:
            ValueError: It was taken already, by a request that came at the same time.
        """
        hotkey, _, uuid = key.partition(":")
        if self.taken(hotkey, uuid, nonce):
            raise ValueError("The nonce was taken already.")
        window = self._hotkeys.setdefault(hotkey, _Window(self._floor))
        window.add(nonce, uuid, self._max_nonces)
        if len(self._hotkeys) > self._max_hotkeys:
            forgotten = min(self._hotkeys, key=lambda one: self._hotkeys[one].highest)
            self._floor = max(self._floor, self._hotkeys.pop(forgotten).highest)

    def _floor_of(self, hotkey: str) -> int:
        window = self._hotkeys.get(hotkey)
        return self._floor if window is None else max(self._floor, window.floor)


class _Window:
    """One hotkey's nonces, the lowest at the head of `heap`."""

    def __init__(self, floor: int) -> None:
        self.floor = self.highest = floor
        self.heap: list[tuple[int, str]] = []
        self.seen: set[tuple[int, str]] = set()

    def add(self, nonce: int, uuid: str, most: int) -> None:
        heapq.heappush(self.heap, (nonce, uuid))
        self.seen.add((nonce, uuid))
        self.highest = max(self.highest, nonce)
        if len(self.heap) > most:
            lowest = heapq.heappop(self.heap)
            self.seen.discard(lowest)
            self.floor = max(self.floor, lowest[0])
