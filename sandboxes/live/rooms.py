"""Who wants to hear of what in this process: topics, and the receivers that joined them.

In this process only, on the event loop only, without queues of its own: a channel layer would drop
what it has no room for. Topics: ``sandbox-<id>``, ``owner-<user id>``, ``staff``, ``images``, ``all``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

Message = dict[str, Any]


class Receiver(Protocol):
    """What may join a topic."""

    def deliver(self, message: Message) -> None:
        """Take a message; never waits and never raises."""
        ...


class Rooms:
    """Topics and their receivers."""

    def __init__(self) -> None:
        self._topics: defaultdict[str, set[Receiver]] = defaultdict(set)

    def join(self, receiver: Receiver, *topics: str) -> None:
        for topic in topics:
            self._topics[topic].add(receiver)

    def leave(self, receiver: Receiver) -> None:
        """Leave every topic."""
        for topic in [topic for topic, members in self._topics.items() if receiver in members]:
            self._topics[topic].discard(receiver)
            if not self._topics[topic]:
                del self._topics[topic]

    def members(self, *topics: str) -> set[Receiver]:
        """Everyone in any of these topics, once."""
        return {one for topic in topics for one in self._topics.get(topic, ())}

    def tell(self, message: Message, *topics: str) -> None:
        """Deliver a message to everyone in any of these topics, once each."""
        for receiver in self.members(*topics):
            receiver.deliver(message)

    def tell_of_sandbox(self, sandbox_id: str, owner_id: int) -> None:
        """Say that a sandbox changed to whoever may see it and looks."""
        message = {"type": "changed", "id": sandbox_id, "owner": owner_id}
        self.tell(message, f"sandbox-{sandbox_id}", f"owner-{owner_id}", "staff")

    def tell_of_image(self, image_id: int) -> None:
        self.tell({"type": "image", "id": image_id}, "images")
