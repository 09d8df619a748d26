/** A client in the fabric that sends to port 7000 of an address without pause, over one TCP connection, and waits for no reply. */
import { start } from '@cmt/host';
import { fabricExecArgv, type Lab } from '@cmt/lab';

const SENDER = `
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 7000))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    connection.sendall(b"tick")
    time.sleep(0.002)`;

/** @returns what ends it */
export function startSteadySender(lab: Lab, address: string): { kill(): Promise<void> } {
  const argv = fabricExecArgv(lab, ['chroot', lab.rootfs, 'python3', '-c', SENDER, address]);
  const child = start(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'ignore', 'ignore'] });
  return {
    async kill() {
      child.kill('SIGKILL');
      await child;
    },
  };
}
