/** From typed words to a migration on its way: what `migrate` and `validate` do first. */
import { newMigrationId } from '@cmt/client';
import type { Submitted } from '@cmt/queue';
import type { Fleet } from '../fleet.ts';
import { parseRequest, resolveRequest, type ParsedRequest, type RequestFlags } from '../request.ts';

/** Checks what was typed, before anybody is asked. @throws {CmtError} REQUEST_INVALID */
export const typed = (
  container: string | undefined,
  flags: RequestFlags,
  validateOnly: boolean,
): ParsedRequest =>
  parseRequest({ container, flags, validateOnly, newId: newMigrationId(), now: Date.now() });

/**
 * Asks for it. Hosts that were typed as ssh wants them, and are not of the fleet, get their workers first.
 * @throws {CmtError} HOST_UNKNOWN, SAME_HOST, REQUEST_INVALID, and all that ssh can be refused with
 */
export async function submit(fleet: Fleet, parsed: ParsedRequest): Promise<Submitted> {
  const agentless = await fleet.reach(parsed);
  const hosts = await fleet.hosts();
  const records = hosts.map(({ record }) => record);
  return fleet.enqueue(resolveRequest(parsed, records, agentless));
}
