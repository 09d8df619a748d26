/** `cmt hosts rm`: takes back what `cmt hosts add` has made, on the machine, in Redis, and on the other hosts. */
import { CmtError } from '@cmt/contracts';
import { authorise, removeWorker, surveyHost, type SshHost } from '@cmt/host';
import type { SeenHost } from '@cmt/queue';
import type { Fleet } from '../fleet.ts';

export interface LeaveWish {
  readonly name: string;
  /** How to reach it, unless as it has announced itself. */
  readonly host: SshHost | undefined;
  readonly sshConfig: string | undefined;
  /** Only what Redis holds of it: the machine is gone for good. */
  readonly isGone: boolean;
}

/** @returns what is left to be done by hand. @throws {CmtError} HOST_UNKNOWN, HOST_BUSY, SSH_*, REMOTE_* */
export async function leaveHost(fleet: Fleet, wish: LeaveWish): Promise<string[]> {
  const { name, host, isGone } = wish;
  const unreadable: string[] = [];
  const all = await fleet.hosts((each) => unreadable.push(each));
  const seen = all.find((each) => each.name === name);
  // Redis alone is to forget it: what it announces is not needed for that.
  const isRecord = isGone && unreadable.includes(name);
  if (seen === undefined && host === undefined && !isRecord)
    throw new CmtError('HOST_UNKNOWN', {
      host: name,
      known: all.map((each) => each.name).join(', ') || 'none',
    });
  await refuseBusy(fleet, name, isGone ? undefined : seen);
  const to = host ?? (seen && reached(seen, wish));
  if (!isGone && to) await removeWorker({ host: to, survey: await surveyHost(to) }, true);
  await fleet.forgetHost(name);
  const others = all.filter((each) => each.state === 'online' && each.name !== name);
  const notes: string[] = [];
  for (const other of others) notes.push(...(await lockOut(wish, other)));
  return notes;
}

/** As it has announced itself. */
const reached = ({ record }: SeenHost, { sshConfig }: LeaveWish): SshHost => ({
  destination: `${record.endpoint.sshUser}@${record.endpoint.address}`,
  port: record.endpoint.sshPort,
  ...(sshConfig ? { config: sshConfig } : {}),
});

/** Another host lets the worker of the one that leaves in no more; or what to do where it cannot be told. */
async function lockOut(wish: LeaveWish, other: SeenHost): Promise<string[]> {
  const { name } = wish;
  const host = reached(other, wish);
  try {
    await authorise({ host, survey: await surveyHost(host) }, name, null);
    return [];
  } catch (error) {
    if (!(error instanceof CmtError)) throw error;
    return [
      `${other.name} still lets the worker of ${name} in (${error.message}) Remove its line cmt:${name} from authorized_keys.`,
    ];
  }
}

/** What its journal holds open would be lost with it, also where the migration waits for an operator. @throws {CmtError} HOST_BUSY */
async function refuseBusy(fleet: Fleet, name: string, seen: SeenHost | undefined): Promise<void> {
  const under = (await fleet.openMigrations()).find(({ from, to }) => [from, to].includes(name));
  const held = seen?.record.journal?.find(({ closed }) => !closed);
  const migration = under?.id ?? held?.migration;
  if (migration !== undefined) throw new CmtError('HOST_BUSY', { host: name, migration });
}
