import { expect, test } from 'vitest';
import { sshFailure } from './ssh-failure.ts';

test.each([
  ['SSH_LOGIN_REFUSED', 'root@10.0.0.1: Permission denied (publickey).'],
  [
    'SSH_HOST_KEY_REFUSED',
    'No ED25519 host key is known for b and you have requested strict checking.\nHost key verification failed.',
  ],
  [
    'SSH_HOST_KEY_REFUSED',
    '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.',
  ],
  ['SSH_HOST_UNKNOWN', 'ssh: Could not resolve hostname nowhere: Name or service not known'],
  ['SSH_UNREACHABLE', 'ssh: connect to host 10.0.0.1 port 22: Connection refused'],
  ['SSH_UNREACHABLE', ''],
  ['SSH_FORWARD_REFUSED', 'Error: remote port forwarding failed for listen path /run/x.sock'],
])('%s: %s', (code, stderr) => {
  expect(sshFailure('b', stderr).failure.code).toBe(code);
});

test('the reason is what ssh said of it, without its own name', () => {
  const { failure } = sshFailure('b', 'Warning: added\nssh: connect to host b port 22: No route to host\n');
  expect(failure.details).toEqual({ host: 'b', reason: 'connect to host b port 22: No route to host' });
});
