/**
 * A container's network, cut and joined around a move. Bridges today; other set-ups implement this interface.
 *
 * INVARIANTS
 * - Between `fence` and `unfence` no packet leaves the source copy, so a dying copy sends no RST or FIN.
 * - What `build` makes is deterministic in its input, so that `remove` finds it after a crash.
 */
import type { ContainerNetwork } from '@cmt/contracts';

export interface Network {
  /** The network of the container whose init is `pid`. */
  describe(pid: number, signal: AbortSignal): Promise<ContainerNetwork>;
  /**
   * Source: keeps and refuses what peers send from now on, has the container frozen by `freeze`, then cuts the links at layer 2, so
   * that what it said last still gets out. Without `freeze` it only cuts. Idempotent.
   * @throws what `freeze` throws; nothing is cut then
   */
  fence(network: ContainerNetwork, signal: AbortSignal, freeze?: () => Promise<void>): Promise<void>;
  /** Source, undo of fence: attaches the links again. Idempotent. */
  unfence(network: ContainerNetwork, signal: AbortSignal): Promise<void>;
  /** Target: namespace, links, addresses, routes and neighbours, up but not attached to any bridge. Idempotent. */
  build(network: ContainerNetwork, signal: AbortSignal): Promise<void>;
  /**
   * Target, at release: attaches the links and tells the segment where the addresses are now. Idempotent. What takes time is done
   * at once, the rest when `ready` has come true.
   * @param onJoined called when the links are attached, and before the segment has been told
   * @throws what `ready` rejects with; nothing is attached then
   */
  attach(
    network: ContainerNetwork,
    signal: AbortSignal,
    ready?: Promise<unknown>,
    onJoined?: () => void,
  ): Promise<void>;
  /** Either side: namespace and links are gone. Idempotent; refuses while a process is inside. */
  remove(network: ContainerNetwork, signal: AbortSignal): Promise<void>;
  /** Addresses of it that this host already uses elsewhere, and bridges it lacks. */
  conflicts(
    network: ContainerNetwork,
    signal: AbortSignal,
  ): Promise<{ addressesTaken: string[]; missingBridges: string[] }>;
}
