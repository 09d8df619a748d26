/** How this machine is, and whether it reaches others the way a migration would. Changes nothing. */
import { CmtError, fine, messageOf, remedyOf, type Diagnosis, type StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { diagnoseThisMachine } from '../doctor/this-machine.ts';
import type { Step } from './step.ts';

type Peer = StepInput<'doctor'>['peers'][number];

/** A receiver that was reached, and does not expect us, says so. */
const REACHED = ['SESSION_LOST', 'STALE_EPOCH'];

export const doctor: Step<'doctor'> = async ({ peers }, context) => {
  const { config, runtimes, signal } = context;
  const machine = await diagnoseThisMachine(config, runtimes, signal);
  const pairs: Diagnosis[] = [];
  // One at a time: what is measured is the way, not this machine's patience.
  for (const peer of peers) pairs.push(await wayTo(peer, context));
  return { diagnoses: [...machine, ...pairs] };
};

/** The very connection that a migration would open, up to the question which one it is. */
async function wayTo(
  { name, endpoint }: Peer,
  { config, links, migration, epoch, signal, machine }: StepContext,
): Promise<Diagnosis> {
  const about = `${config.name} -> ${name}`;
  const begun = machine.clock.elapsed();
  try {
    await links.get(migration, epoch, { transport: 'ssh', peer: name, endpoint }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = error instanceof CmtError ? error.failure : null;
    const reached = failure !== null && REACHED.includes(failure.code);
    const ms = Math.round(machine.clock.elapsed() - begun);
    if (reached) return fine('pair', about, `ssh and the worker behind it answer in ${ms} ms`);
    const message = failure === null ? String(error) : messageOf(failure);
    const remedy = failure === null ? 'See the log of the worker.' : remedyOf(failure);
    return { level: 'problem', area: 'pair', about, message, remedy };
  } finally {
    await links.drop(migration);
  }
  return fine('pair', about, 'ssh and the worker behind it answer');
}
