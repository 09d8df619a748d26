/** Where a container is, by what hosts announce. Pure. */
import { CmtError, type RuntimeName } from '@cmt/contracts';
import type { FleetFacts } from '@cmt/fleet';
import { registeredName } from './request.ts';

/**
 * The host that announces it, one of those that are not gone where there is a choice.
 * @param src the host that was typed, if any
 * @throws {CmtError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS, HOST_UNKNOWN
 */
export function whereIs(
  hosts: FleetFacts['hosts'],
  container: string,
  src?: string,
): { readonly host: FleetFacts['hosts'][number]; readonly runtime: RuntimeName } {
  const records = hosts.map(({ record }) => record);
  const name = src === undefined ? undefined : registeredName(src, records);
  const found = hosts.flatMap((host) =>
    host.record.containers
      .filter(({ id }) => id === container && (name === undefined || host.name === name))
      .map(({ runtime }) => ({ host, runtime })),
  );
  const there = found.filter(({ host }) => host.state !== 'offline');
  const [first, ...others] = there.length > 0 ? there : found;
  if (first === undefined) throw new CmtError('CONTAINER_UNKNOWN', { container, host: name ?? 'any host' });
  if (others.length === 0) return first;
  const names = [first, ...others].map(({ host }) => host.name).join(', ');
  throw new CmtError('CONTAINER_AMBIGUOUS', { container, hosts: names });
}
