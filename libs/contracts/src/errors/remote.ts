/** The catalogue's part about machines that are reached over ssh, without a worker of their own. */
import { entry, type Entry } from '../reaction.ts';

export const remoteErrors = {
  SSH_MISSING: entry(
    'refuse',
    'There is no `ssh` program here to reach {host} with.',
    '`apt-get install openssh-client`.',
  ),
  SSH_HOST_UNKNOWN: entry(
    'refuse',
    'ssh knows no machine {host}: {reason}.',
    'Correct the name, or add it to ~/.ssh/config; `ssh {host} true` must work.',
  ),
  SSH_UNREACHABLE: entry(
    'refuse',
    '{host} cannot be reached by ssh: {reason}.',
    'Check that it is up, and the address, port and jump host in ~/.ssh/config; `ssh {host} true` must work.',
  ),
  SSH_LOGIN_REFUSED: entry(
    'refuse',
    '{host} does not accept any of your keys: {reason}.',
    'Look at `ssh-add -l`, and add your public key to ~/.ssh/authorized_keys there; `ssh {host} true` must work without a password.',
  ),
  SSH_HOST_KEY_REFUSED: entry(
    'refuse',
    '{host} cannot prove that it is {host}: {reason}.',
    'Log in once by hand and compare the fingerprint. If the key was changed on purpose: `ssh-keygen -R` with its name.',
  ),
  SSH_FORWARD_REFUSED: entry(
    'refuse',
    'The sshd of {host} forwards no sockets: {reason}.',
    'Allow it for this user in sshd_config there: `AllowStreamLocalForwarding yes`, and no `DisableForwarding`.',
  ),
  SUDO_REFUSED: entry(
    'refuse',
    '{user} on {host} is not root and may not become root without a password: {reason}.',
    'Log in as root, or allow it in sudoers: `{user} ALL=(root) NOPASSWD: ALL`.',
  ),
  REMOTE_UNSUITABLE: entry(
    'refuse',
    '{host} cannot be worked on: {reason}.',
    'Install what is named on {host}, or choose another machine.',
  ),
  REMOTE_FAILED: entry(
    'refuse',
    '{what} on {host} failed: {reason}.',
    'Read the reason and the log; nothing was begun there.',
  ),
  REMOTE_HAS_WORKER: entry(
    'refuse',
    '{host} already has a cmt worker, which obeys somebody else ({name}).',
    'Ask the fleet that it belongs to (`--redis`), wait until its last migration has ended, or stop that worker.',
  ),
} as const satisfies Record<string, Entry>;
