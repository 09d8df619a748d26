/**
 * A client that dirties memory at a steady rate over one connection: `writer HOST PORT KEYS BYTES_PER_SECOND`. It overwrites
 * values of 64 KiB, one after the other, and never has more than a tenth of a second of them under way.
 */
import { connect } from 'node:net';

const VALUE_BYTES = 64 * 1024;
const EVERY_MS = 20;

const [host = '', port = '', keys = '1', rate = '0'] = process.argv.slice(2);
const perTick = (Number(rate) * EVERY_MS) / 1000 / VALUE_BYTES;
const atMost = Math.max(1, 5 * perTick);
const value = Buffer.alloc(VALUE_BYTES);

const socket = connect({ host, port: Number(port), noDelay: true });
let [owed, next, underWay] = [0, 0, 0];
// One `+OK` an answer.
socket.on('data', (bytes) => (underWay -= bytes.filter((byte) => byte === 0x2b).length));
setInterval(() => {
  owed = Math.min(owed + perTick, atMost);
  while (owed >= 1 && underWay < atMost) {
    const key = `dirty:${next}`;
    next = (next + 1) % Number(keys);
    value.writeDoubleLE(performance.now() + next, 8 * (next % 8000));
    socket.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${VALUE_BYTES}\r\n`);
    socket.write(Buffer.from(value));
    socket.write('\r\n');
    [owed, underWay] = [owed - 1, underWay + 1];
  }
}, EVERY_MS);
