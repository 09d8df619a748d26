/** What ssh(1) says on standard error when it ends with 255, as an entry of the catalogue. Pure. */
import { CmtError, type ErrorCode } from '@cmt/contracts';

/** The texts are OpenSSH's own (sshconnect.c, sshconnect2.c, ssh.c, clientloop.c) and those of strerror(3). */
const SAYINGS: readonly (readonly [ErrorCode, RegExp])[] = [
  [
    'SSH_HOST_KEY_REFUSED',
    /host key verification failed|host identification has changed|no matching host key/i,
  ],
  ['SSH_LOGIN_REFUSED', /permission denied \(|too many authentication failures|no supported authentication/i],
  ['SSH_FORWARD_REFUSED', /forwarding failed|administratively prohibited|cannot listen to|port forwarding/i],
  ['SSH_HOST_UNKNOWN', /could not resolve hostname|name or service not known|hostname contains invalid/i],
];

/** @param stderr all that ssh said */
export function sshFailure(host: string, stderr: string): CmtError {
  const said = stderr.split('\n').map((line) => line.trim());
  for (const [code, saying] of SAYINGS) {
    const line = said.find((each) => saying.test(each));
    if (line !== undefined) return new CmtError(code, { host, reason: plain(line) }, stderr);
  }
  const last = said.filter((line) => line !== '').at(-1) ?? 'ssh ended without a word';
  return new CmtError('SSH_UNREACHABLE', { host, reason: plain(last) }, stderr);
}

const plain = (line: string): string =>
  line.replace(/^(ssh|kex_exchange_identification): /, '').replace(/\.$/, '');
