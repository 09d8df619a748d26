/**
 * The source's end of the data connection: host to host, never through Redis.
 * A link is one authenticated connection to a target's receiver; channels on it are byte streams.
 */
import type { Decision, Epoch, MigrationId, Route } from '@cmt/contracts';
import type { Duplex } from 'node:stream';
import type { Rate } from './bandwidth.ts';
import type { PageStream } from './page-stream.ts';

/** How bytes reach another host. One file per way: ssh.ts, tcp.ts. */
export interface Transport {
  /** @throws CmtError PEER_UNREACHABLE, HOST_KEY_MISMATCH, SSH_AUTH_FAILED */
  connect(route: Route, signal: AbortSignal): Promise<Wire>;
}

/** How bytes travel: from host to host, or by way of the client that started both workers. */
export type Way = 'direct' | 'relayed';

/** An open connection of a transport. */
export interface Wire {
  readonly way: Way;
  open(signal: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}

/** The source's view of one prepared migration on the target. */
export interface Link {
  /** Target's clock minus this clock, in milliseconds, from the quickest of a few echoes. */
  readonly clockOffsetMs: number;
  readonly way: Way;
  /** Why images pass the channel and the worker, null as long as they have a connection of their own. */
  readonly uncarried: string | null;
  /** Bytes per second that images and files may take from now on, also those under way; null for as many as go. */
  bandwidth: Rate;
  /** The same, of the links that it shares with other migrations: the lower one counts. */
  share: Rate;
  /** Resolves when the target's restorer waits for this epoch's images. */
  restorerArmed(signal: AbortSignal): Promise<void>;
  /**
   * Starts sending a directory of images while it is still written. `finish()` is called when the writer is done and
   * resolves when the target has acknowledged every file with its checksum. `name` is the round (`1`, `2`, …) or `final`.
   * @throws CmtError TRANSFER_BROKEN, TRANSFER_CORRUPT, TARGET_FULL
   */
  sendImages(name: string, directory: string, signal: AbortSignal): ImageSending;
  /** Carries a directory's content to the prepared bundle with rsync, deleting there what is gone here. @throws CmtError FILES_FAILED */
  syncFiles(directory: string, signal: AbortSignal): Promise<{ bytes: number }>;
  /** Opens what the blackout needs (image channel, rsync's channel) so that nothing is connected inside it. */
  warmUp(signal: AbortSignal): Promise<void>;
  /**
   * Opens the way on which pages follow the container while it runs, by a connection of its own.
   * @param rateFile holds the bytes per second that they may take, in JSON (null: as many as go), and another number when that changes
   * @throws CmtError PAGES_UNREACHABLE where there can be none
   */
  openPages(rateFile: string, signal: AbortSignal): Promise<PageStream>;
  /** Tells the target that images and files are complete: restore now. @throws CmtError TRANSFER_BROKEN unless it has them all */
  go(signal: AbortSignal): Promise<void>;
  /** Tells the target that nothing more will come, so that whoever waits there stops at once. */
  abandon(reason: string): void;
  close(): Promise<void>;
}

export interface ImagesSent {
  /** Bytes of images as they were handed to the connection, packed or not. */
  readonly bytesSent: number;
  /** Bytes of the files that they were. */
  readonly imageBytes: number;
  /** Leaves out the time spent waiting for the writer. */
  readonly sendMs: number;
}

export interface ImageSending {
  /** Bytes of images handed to the connection so far, for progress. */
  readonly bytesSent: number;
  /** Call when the writer has written everything; again for the same answer. */
  finish(): Promise<ImagesSent>;
  /** Call when the writer failed. */
  cancel(): void;
}

/** What the target says about an epoch: it will never hold or run it, it has it for good, or it cannot know. */
export type Verdict = Decision | 'UNKNOWN';

/** What an open link may take, of itself and of what it shares. */
export type Rates = { readonly [K in 'bandwidth' | 'share']?: Rate | undefined };

/** The links of this worker, one per migration and epoch, reused by the steps of a leg. */
export interface Links {
  get(migration: MigrationId, epoch: Epoch, route: Route, signal: AbortSignal): Promise<Link>;
  /**
   * Asks the target to withdraw from an epoch, on a connection of its own, when nobody else can say what became of it.
   * @throws CmtError PEER_UNREACHABLE and whatever else keeps it from being asked
   */
  withdraw(migration: MigrationId, epoch: Epoch, route: Route, signal: AbortSignal): Promise<Verdict>;
  /** Changes what an open link may take; what is left out stays. Of a link that is opened later the route says it. */
  tune(migration: MigrationId, rates: Rates): void;
  /** The link if it is open: for abandoning without connecting. */
  peek(migration: MigrationId): Link | null;
  /** Closes the link of a migration, if there is one. */
  drop(migration: MigrationId): Promise<void>;
  closeAll(): Promise<void>;
}
