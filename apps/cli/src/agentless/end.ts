/** One end of a migration that is reached over ssh: how ssh gets there, and under which name it is registered. Pure. */
import { createHash } from 'node:crypto';
import { HostName } from '@cmt/contracts';
import type { SshHost } from '@cmt/host';
import type { Location } from '../flags/location.ts';

export interface AgentlessEnd {
  readonly name: HostName;
  readonly ssh: SshHost;
  /** The bundle that must be there. */
  readonly bundle: string | undefined;
}

/** Null for a host that was typed as one of a fleet: without a user, and not as `ssh://…`. */
export function agentlessEnd(location: Location, sshConfig: string | undefined): AgentlessEnd | null {
  const { ssh, host, bundle } = location;
  if (ssh === undefined) return null;
  const destination = ssh.user === undefined ? host : `${ssh.user}@${host}`;
  const name = nameOf(ssh.port === undefined ? host : `${host}-${ssh.port}`);
  return { name, bundle, ssh: { destination, port: ssh.port, config: sshConfig } };
}

/** What is no name for a host (an IPv6 address, a very long one) gets one that follows from it. */
function nameOf(typed: string): HostName {
  const plain = typed.replaceAll(/[^a-zA-Z0-9._-]/g, '-').replace(/^[^a-zA-Z0-9]+/, 'x');
  return (
    HostName.safeParse(plain).data ?? `host-${createHash('sha256').update(typed).digest('hex').slice(0, 16)}`
  );
}
