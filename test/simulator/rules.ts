/** The rules as they are, and the places where a broken variant may put itself: see broken-rules.ts. */
import type { Epoch, StepName } from '@cmt/contracts';
import type { Decisions, StepContext } from '../../libs/host/src/context.ts';
import type { Journal } from '../../libs/host/src/journal.ts';
import { withdrawFrom } from '../../libs/host/src/steps/index.ts';
import type { Step } from '../../libs/host/src/steps/step.ts';
import type { Verdict } from '../../libs/host/src/transports/transport.ts';
import type { SimProcess } from './sim-process.ts';

export interface Rules {
  readonly journal: (journal: Journal, who: SimProcess) => Journal;
  readonly decisions: (decisions: Decisions, who: SimProcess) => Decisions;
  readonly context: (context: StepContext) => StepContext;
  readonly step: <N extends StepName>(name: N, step: Step<N>) => Step<N>;
  /** The target's answer to a source that asks without Redis. */
  readonly withdraw: (epoch: Epoch, context: StepContext) => Promise<Verdict>;
  /** Whether Redis may stand in for a target that cannot be asked, given that it provably lost nothing. */
  readonly isContinuous: (provenByRedis: boolean) => boolean;
  readonly obeysStaleCoordinators: boolean;
  readonly firstVoteWins: boolean;
  /** Whether an entry of the journal is on disk when its write is answered. */
  readonly syncsJournal: boolean;
  readonly checksTokens: boolean;
  /** Whether a worker makes durable at its start what the one before it had not. */
  readonly syncsAtStart: boolean;
  /** Whether the journal itself refuses to go back to an older epoch. */
  readonly checksEpoch: boolean;
}

export const realRules: Rules = {
  journal: (journal) => journal,
  decisions: (decisions) => decisions,
  context: (context) => context,
  step: (_, step) => step,
  withdraw: withdrawFrom,
  isContinuous: (proven) => proven,
  obeysStaleCoordinators: false,
  firstVoteWins: true,
  syncsJournal: true,
  checksTokens: true,
  syncsAtStart: true,
  checksEpoch: true,
};
