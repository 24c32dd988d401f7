"""The signature helper of the tests agrees with the reference implementation."""
import time

import zkt
from zkt import Request


def signed(body, secret, when=None, message_id="msg_1"):
    when = str(int(time.time()) if when is None else when)
    return Request("POST", "/", [("Webhook-Id", message_id), ("Webhook-Timestamp", when),
                                 ("Webhook-Signature",
                                  zkt.webhook_signature(secret, message_id, when, body))], body)


def test_agreement():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    good = signed('{"n":12345678901234567890,"t":"ä"}'.encode(), secret)
    zkt.ok(zkt.peer_verifies(secret, good), "a sound webhook is accepted by the peer")
    forged = signed(good.body, "whsec_" + "A" * 32)
    zkt.ok(not zkt.peer_verifies(secret, forged), "one signed with another secret is not")
    good.body += b" "
    zkt.ok(not zkt.peer_verifies(secret, good), "one with a changed body is not")
    zkt.ok(not zkt.peer_verifies(secret, signed(b"{}", secret, when=1)), "an old one is not")


zkt.main()
