/** `cmt hosts rm`: takes back what `cmt hosts add` has made, on the machine, in Redis, and on the other hosts. */
import { CmtError, isEnd } from '@cmt/contracts';
import { authorise, removeWorker, surveyHost, type RemoteMachine, type SshHost } from '@cmt/host';
import type { Fleet } from '../fleet.ts';

export interface LeaveWish {
  readonly name: string;
  /** How to reach it, unless as it has announced itself. */
  readonly host: SshHost | undefined;
  readonly sshConfig: string | undefined;
  /** Only what Redis holds of it: the machine is gone for good. */
  readonly isGone: boolean;
}

/** Migrations looked through for those under way. */
const RECENT = 1000;

/** @returns what is left to be done by hand. @throws {CmtError} HOST_UNKNOWN, HOST_BUSY, SSH_*, REMOTE_* */
export async function leaveHost(
  fleet: Fleet,
  { name, host, sshConfig, isGone }: LeaveWish,
): Promise<string[]> {
  const all = await fleet.hosts();
  const seen = all.find((each) => each.name === name);
  if (seen === undefined && host === undefined)
    throw new CmtError('HOST_UNKNOWN', {
      host: name,
      known: all.map((each) => each.name).join(', ') || 'none',
    });
  await refuseBusy(fleet, name);
  const reached = ({
    address,
    sshPort,
    sshUser,
  }: {
    address: string;
    sshPort: number;
    sshUser: string;
  }): SshHost => ({
    ...{ destination: `${sshUser}@${address}`, port: sshPort },
    ...(sshConfig ? { config: sshConfig } : {}),
  });
  if (!isGone) {
    const to = host ?? (seen === undefined ? undefined : reached(seen.record.endpoint));
    if (to) await removeWorker({ host: to, survey: await surveyHost(to) }, true);
  }
  await fleet.forgetHost(name);
  const notes: string[] = [];
  for (const other of all.filter((each) => each.state === 'online' && each.name !== name)) {
    const to = reached(other.record.endpoint);
    try {
      const machine: RemoteMachine = { host: to, survey: await surveyHost(to) };
      await authorise(machine, name, null);
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      notes.push(
        `${other.name} still lets the worker of ${name} in (${error.message}) Remove its line cmt:${name} from authorized_keys.`,
      );
    }
  }
  return notes;
}

/** @throws {CmtError} HOST_BUSY */
async function refuseBusy(fleet: Fleet, name: string): Promise<void> {
  const under = (await fleet.migrations(RECENT)).find(
    ({ state, from, to }) => !isEnd(state) && [from, to].includes(name),
  );
  if (under) throw new CmtError('HOST_BUSY', { host: name, migration: under.id });
}
