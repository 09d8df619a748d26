/**
 * The target's end of the data connection. It accepts only prepared migrations, only from the key named at
 * `prepare`, only plain file names, only into a fresh private directory, only up to the reserved size.
 */
import type { AbsolutePath, Epoch, MigrationId, TransportName } from '@cmt/contracts';
import type { PageStream } from './page-stream.ts';
import type { Verdict } from './transport.ts';

/** What `prepare` arms. */
export interface Expectation {
  readonly migration: MigrationId;
  readonly epoch: Epoch;
  /** Ed25519 public key (SPKI, base64) of the only host that may send. */
  readonly sourceKey: string;
  /** Directory that receives `1/`, `2/`, … `final/`; exists, 0700, empty. */
  readonly images: AbsolutePath;
  /** Directory that rsync may write, or null when files are shared. */
  readonly bundle: AbsolutePath | null;
  /** Bytes of images that are accepted before the transfer is refused. */
  readonly quota: number;
  readonly transport: TransportName;
}

/** One armed migration on the target. */
export interface Session {
  readonly expectation: Expectation;
  /** Tells a waiting source that the restore starts the moment it says go. */
  arm(): void;
  /** Resolves when the source has said go. Rejects with CmtError TRANSFER_BROKEN, SESSION_LOST or CANCELLED when it never will. */
  complete(signal: AbortSignal): Promise<{ lastByteAt: number }>;
  /** Resolves when the source has opened the way on which pages follow; never rejects: `complete` tells when it will not come. */
  pages(): Promise<PageStream>;
}

/** What the receiver needs to answer a source whose session may be long gone. */
export interface WithdrawAnswers {
  /** Key of the only host that may ask about a migration, or null. */
  keyOf(migration: MigrationId): Promise<string | null>;
  /** `tidy` is called once the source has its answer. */
  withdraw(
    migration: MigrationId,
    epoch: Epoch,
  ): Promise<{ readonly verdict: Verdict; readonly tidy: () => Promise<unknown> }>;
  /** Whether a source may come to ask, by the journal. */
  mayBeAsked(): Promise<boolean>;
}

export interface Receiver {
  /** Opens the doors: the unix socket for ssh, and the TCP port when a session asks for tcp. */
  listen(): Promise<void>;
  expect(expectation: Expectation): Promise<Session>;
  /** The session of a migration, or null after a restart of this worker. */
  session(migration: MigrationId, epoch: Epoch): Session | null;
  /** Who answers sources that ask to withdraw from an epoch; without one nobody is answered. */
  answerWith(answers: WithdrawAnswers): Promise<void>;
  /** Ends a session: its connections are closed, rsync is stopped. Files stay. Idempotent. */
  forget(migration: MigrationId): Promise<void>;
  close(): Promise<void>;
}
