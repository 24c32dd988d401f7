// An image in, a small one out: Buffers both ways, no temporary file.
//   node examples/thumbnail.mjs < photo.jpg > small.png      (needs @procwire/core, ImageMagick)
import { Module, ModuleManager } from "@procwire/core";
import { rawCodec } from "@procwire/codecs";

const worker = new Module("images")
  .executable(process.env.ZK || "zk", ["procwire", "worker",
    "--handle", "thumbnail,codec=raw=exec:convert - -resize 64x64 png:-"])
  .method("thumbnail", { codec: rawCodec });
const manager = new ModuleManager();
manager.register(worker);
await manager.spawn();
process.stdout.write(await worker.send("thumbnail", Buffer.concat(await process.stdin.toArray())));
await manager.shutdown();
