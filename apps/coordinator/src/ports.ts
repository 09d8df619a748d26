/** Everything a running migration may touch, behind one argument. */
import type {
  Decision,
  Epoch,
  Hook,
  HookOutcome,
  HostName,
  LegResult,
  MigrationId,
  MigrationReport,
  Resolution,
  StepCall,
  Tuning,
} from '@cmt/contracts';
import type { Journals, Patience, Peer, Placement, Saga } from '@cmt/saga';

/** A leg as the saga asks for it, ready to be sealed and queued. */
export interface LegOrder {
  readonly task: string;
  readonly migration: MigrationId;
  readonly host: HostName;
  readonly epoch: Epoch;
  readonly try: number;
  readonly calls: readonly StepCall[];
  readonly limitMs: number;
  readonly patience: Patience;
}

export interface Ports {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with the signal's reason when it aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /**
   * Both hosts as they announced themselves, and what their journals say of this migration already; the target is found where the request
   * leaves it open. The migration has its places within the limits then.
   * @throws CmtError HOST_UNKNOWN, HOST_UNREACHABLE, HOST_DRAINED, SAME_HOST, NO_TARGET, CONTAINER_BUSY
   * @throws MustWait when a limit is reached
   */
  lookUp(saga: Saga): Promise<{
    source: Peer;
    target: Peer;
    continuityMark: string | null;
    placed?: Placement;
    journals?: Journals;
  }>;
  /** Runs a leg on its host, or joins the one of the same id that is under way. @throws CmtError when nobody answers in time */
  dispatch(order: LegOrder, signal: AbortSignal): Promise<LegResult>;
  /** Runs a hook beside this coordinator. */
  runHook(hook: Hook, context: Record<string, unknown>, signal: AbortSignal): Promise<HookOutcome>;
  /** The write-once record; keeps trying until Redis answers. */
  settle(epoch: Epoch, vote: Decision, signal: AbortSignal): Promise<Decision>;
  /** Whether Redis is still the one of `mark` and cannot have lost a write since. */
  continuity(mark: string | null, signal: AbortSignal): Promise<boolean>;
  /** Puts an operator's word on record, or (null) takes it back; keeps trying until Redis answers. */
  resolve(resolution: Resolution | null, signal: AbortSignal): Promise<void>;
  /** Stores the state, if this coordinator still owns the migration. @throws when it does not */
  save(saga: Saga, report: MigrationReport): Promise<void>;
  /** Calls back once when somebody asks for a cancel; also when that was before. */
  onCancel(asked: (reason: string) => void): () => void;
  /** Calls back with what was changed about the migration; often with what is known already. */
  onTuned(changed: (tuning: Tuning) => void): void;
  /** One line for those who watch. */
  tell(kind: 'state' | 'note' | 'hook' | 'warning', text: string, step?: string): void;
}
