/**
 * The outside end of the network workload: `echo-peer OWN_ADDRESS OWN_PORT HOST PORT`.
 *
 * It serves echoes to whoever calls, and calls HOST:PORT itself as soon as somebody has called. A line on standard
 * input is answered with a line of JSON (EchoReport); so is the end of standard input, and then it ends.
 */
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface EchoReport {
  /** What it called: numbers sent and answered, answers that differ, the longest time without one. */
  readonly called: { readonly answered: number; readonly wrong: number; readonly longestGapMs: number };
  /** Who called it. */
  readonly served: { readonly connections: number; readonly bytes: number };
  /** Connections that ended, either way. */
  readonly connectionsLost: number;
}

const [address = '', ownPort = '', host = '', port = ''] = process.argv.slice(2);
const called = { answered: 0, wrong: 0, longestGapMs: 0 };
const served = { connections: 0, bytes: 0 };
let connectionsLost = 0;
let lastAt = performance.now();

function call(): void {
  const socket = watched(connect({ host, port: Number(port), noDelay: true }));
  const next = Buffer.alloc(8);
  let received = Buffer.alloc(0);
  socket.on('connect', () => socket.write(next));
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    if (received.length < 8) return;
    if (!received.equals(next)) called.wrong += 1;
    note();
    received = Buffer.alloc(0);
    next.writeBigUInt64LE(BigInt((called.answered += 1)));
    // The workload lets it lie for a while before it answers: that is rest enough for both.
    setImmediate(() => socket.write(next));
  });
}

function note(): void {
  const now = performance.now();
  called.longestGapMs = Math.max(called.longestGapMs, now - lastAt);
  lastAt = now;
}

function watched(socket: Socket): Socket {
  return socket.on('error', () => undefined).on('close', () => (connectionsLost += 1));
}

createServer((socket) => {
  served.connections += 1;
  if (served.connections === 1) call();
  watched(socket).on('data', (bytes) => {
    served.bytes += bytes.length;
    socket.write(bytes);
  });
}).listen(Number(ownPort), address);

const report = (): EchoReport => ({
  called: { ...called, longestGapMs: Math.round(Math.max(called.longestGapMs, performance.now() - lastAt)) },
  served,
  connectionsLost,
});
const print = (): void => void process.stdout.write(`${JSON.stringify(report())}\n`);
createInterface({ input: process.stdin })
  .on('line', print)
  .on('close', () => {
    print();
    process.exit();
  });
