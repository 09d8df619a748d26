/** One coordinator a state directory: its ledgers and its key are nobody else's at the same time. */
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import { openUnixDoor, type Door } from './transports/doors.ts';

/** Held until it is closed, or its process ends. @throws {CmtError} COORDINATOR_RUNS */
export async function claimPlace(stateDir: string): Promise<Door> {
  try {
    return await openUnixDoor(join(stateDir, 'coordinator.sock'), (stranger) => stranger.destroy());
  } catch (error) {
    if (!(error instanceof CmtError)) throw error;
    throw new CmtError('COORDINATOR_RUNS', { dir: stateDir });
  }
}
