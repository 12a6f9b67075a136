// A WebSocket over HTTP/2 by node's own client: `client.js URL [CA]`. Sends a word, a large message and a
// close; prints the status, and how many of the three came back as they should.
const http2 = require("http2");
const fs = require("fs");

const [url, ca] = process.argv.slice(2);
const LARGE = Buffer.alloc(300_000, "0123456789");

function frame(opcode, payload) {
  const size = payload.length;
  const long = size > 125 ? (size > 65535 ? 127 : 126) : size;
  const head = Buffer.alloc({ 126: 4, 127: 10 }[long] ?? 2);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | long;
  if (long === 126) head.writeUInt16BE(size, 2);
  if (long === 127) head.writeBigUInt64BE(BigInt(size), 2);
  const mask = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([head, mask, Buffer.from(payload.map((byte, at) => byte ^ mask[at % 4]))]);
}

// The first message at the start of `bytes`, and what is behind it; a server masks nothing and may cut it.
function message(bytes) {
  const parts = [];
  let at = 0;
  while (bytes.length >= at + 2) {
    let [size, from] = [bytes[at + 1] & 127, at + 2];
    if (size === 126) [size, from] = [bytes.length < at + 4 ? Infinity : bytes.readUInt16BE(from), from + 2];
    else if (size === 127)
      [size, from] = [bytes.length < at + 10 ? Infinity : Number(bytes.readBigUInt64BE(from)), from + 8];
    if (bytes.length < from + size) return null;
    parts.push(bytes.subarray(from, from + size));
    const last = bytes[at] & 0x80;
    at = from + size;
    if (last) return [Buffer.concat(parts), bytes.subarray(at)];
  }
  return null;
}

const session = http2.connect(url, ca ? { ca: fs.readFileSync(ca) } : {});
const say = (text) => {
  console.log(text);
  process.exit(0);
};
setTimeout(() => say("nothing for too long"), 120_000);
session.on("error", (error) => say(`error ${error.message}`));
session.on("remoteSettings", (settings) => {
  if (!settings.enableConnectProtocol) say("no extended CONNECT");
  const stream = session.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":path": "/echo", "sec-websocket-version": "13" },
    { endStream: false },
  );
  const expected = [Buffer.from("word"), LARGE, Buffer.from([3, 232])];
  const sent = [frame(1, expected[0]), frame(2, LARGE), frame(8, expected[2])];
  let held = Buffer.alloc(0);
  let right = 0;
  let status = 0;
  stream.on("response", (headers) => {
    status = headers[":status"];
    if (status === 200) stream.write(sent.shift());
  });
  stream.on("data", (data) => {
    if (status !== 200) return;
    held = Buffer.concat([held, data]);
    for (let found = message(held); found; found = message(held)) {
      held = found[1];
      if (expected.length && found[0].subarray(0, expected[0].length).equals(expected.shift())) right += 1;
      if (sent.length) stream.write(sent.shift());
      // Not every server ends the stream behind its close.
      else if (!expected.length) say(`${status} ${right}`);
    }
  });
  stream.on("error", (error) => say(`error ${error.message}`));
  stream.on("end", () => say(`${status} ${right}`));
});
