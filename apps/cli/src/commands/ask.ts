/** From typed words to a migration on its way: what `migrate` and `validate` do first. */
import { newMigrationId } from '@cmt/client';
import type { Submitted } from '@cmt/queue';
import type { Fleet } from '../fleet.ts';
import {
  parseRequest,
  resolveRequest,
  type Asked,
  type LocatedRequest,
  type ParsedRequest,
  type RequestFlags,
} from '../request.ts';
import { whereIs } from '../where-is.ts';

/** Checks what was typed, before anybody is asked. @throws {CmtError} REQUEST_INVALID */
export const typed = (
  container: string | undefined,
  flags: RequestFlags,
  validateOnly: boolean,
): ParsedRequest =>
  parseRequest({ container, flags, validateOnly, newId: newMigrationId(), now: Date.now() });

/**
 * With the host that announces the container, where none was typed; of a migration that is known by its id, where it was when that began.
 * @throws {CmtError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS
 */
export async function located(fleet: Fleet, parsed: ParsedRequest): Promise<LocatedRequest> {
  const { asked, source } = parsed;
  if (source !== null) return { ...parsed, source };
  const { host, runtime } = await placeOf(fleet, asked);
  const flags = { ...asked.flags, runtime: asked.flags.runtime ?? runtime };
  return { ...parsed, source: { host }, asked: { ...asked, flags } };
}

async function placeOf(fleet: Fleet, { container = '', flags: { id } }: Asked) {
  if (id !== undefined && (await fleet.knows(id))) {
    const { source, runtime } = (await fleet.status(id)).request;
    return { host: source, runtime };
  }
  const { host, runtime } = whereIs(await fleet.hosts(), container);
  return { host: host.name, runtime };
}

/**
 * Asks for it. Hosts that were typed as ssh wants them, and are not of the fleet, get their workers first.
 * @throws {CmtError} HOST_UNKNOWN, SAME_HOST, REQUEST_INVALID, and all that ssh can be refused with
 */
export async function submit(fleet: Fleet, parsed: LocatedRequest): Promise<Submitted> {
  const agentless = await fleet.reach(parsed);
  const hosts = await fleet.hosts();
  const records = hosts.map(({ record }) => record);
  return fleet.enqueue(resolveRequest(parsed, records, agentless));
}
