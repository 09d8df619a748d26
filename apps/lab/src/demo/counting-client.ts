/**
 * A client that counts over one TCP connection: `counting-client HOST PORT KEY [PAUSE_MS]`.
 *
 * It sends INCR, waits for the answer, checks that it is one more than the last, and sends the next, at once or after a pause.
 * It never connects twice. A line on standard input is answered with a line of JSON; so is the end of standard input,
 * and then it ends.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Count } from './count.ts';

const [host = '', port = '', key = '', pauseMs = '0'] = process.argv.slice(2);
const command = `*2\r\n$4\r\nINCR\r\n$${Buffer.byteLength(key)}\r\n${key}\r\n`;
const count = new Count(performance.now());
const print = (): void => void process.stdout.write(`${JSON.stringify(count.report(performance.now()))}\n`);

const socket = connect({ host, port: Number(port), noDelay: true });
const next =
  Number(pauseMs) === 0
    ? () => socket.write(command)
    : () => setTimeout(() => socket.write(command), Number(pauseMs));
let received = '';
socket.on('connect', () => {
  count.connected(performance.now());
  socket.write(command);
});
socket.on('data', (bytes) => {
  received += bytes.toString('latin1');
  for (let end = received.indexOf('\r\n'); end !== -1; end = received.indexOf('\r\n')) {
    count.answered(performance.now(), received.slice(0, end));
    received = received.slice(end + 2);
    next();
  }
});
socket.on('error', (error) => count.lost(error.message));
socket.on('close', () => count.lost('closed by the server'));

createInterface({ input: process.stdin })
  .on('line', print)
  .on('close', () => {
    print();
    process.exit();
  });
