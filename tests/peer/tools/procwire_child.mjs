// The baseline of scripts/bench procwire: the real Node child with the methods that are measured.
// It stands here for the packages of the tests.
import { Client } from "@procwire/client";
import { rawCodec } from "@procwire/codecs";

await new Client()
  .handle("echo", (data, ctx) => ctx.respond(data))
  .handle("raw", (data, ctx) => ctx.respond(data), { codec: rawCodec })
  .start();
