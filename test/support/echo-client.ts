/** A client in the fabric that talks without pause over one TCP connection, and knows its longest wait. */
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { fabricExecArgv, type Lab } from '@cmt/lab';

/** Sends a number, waits for its echo, and so on; says now and then that it goes on, and at the end how long it waited at most. */
const CLIENT = `
import socket, sys, threading, time
connection = socket.create_connection((sys.argv[1], 7000))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), ended.set())).start()
count = longest = 0
while not ended.is_set():
    began = time.monotonic()
    connection.sendall(b"%08d" % count)
    echo = connection.recv(100)
    longest = max(longest, time.monotonic() - began)
    if echo != b"%08d" % count: sys.exit("wrong echo %r" % echo)
    if count % 20 == 0: print("going", flush=True)
    count += 1
    time.sleep(0.002)
print("longest", round(longest * 1000), flush=True)`;

/** Starts it in the fabric, connected with port 7000 of an address. */
export async function startEchoClient(lab: Lab, address: string) {
  const argv = fabricExecArgv(lab, ['chroot', lab.rootfs, 'python3', '-c', CLIENT, address]);
  const child = start(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout! });
  const next = (wanted: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (line: string): void => {
        if (!wanted.test(line)) return;
        lines.off('line', look);
        resolve(line);
      };
      lines.on('line', look).once('close', () => reject(new Error('the client has ended')));
    });
  const going = (): Promise<string> => next(/^going$/);
  await going();
  return {
    going,
    async end(): Promise<{ longestMs: number }> {
      const last = next(/^longest/);
      child.stdin?.write('\n');
      const longestMs = Number((await last).split(' ')[1]);
      await child;
      return { longestMs };
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await child;
    },
  };
}
