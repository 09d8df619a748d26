/** What node is told when it runs a service, by whatever starts one; bin/cmt and packaging/cmt.sh say the same (`node --v8-options`, node(1)). */

/**
 * A worker. The memory of its machine belongs to containers, and it waits more than it computes (carriers move the bytes, and are processes
 * of their own): V8 keeps room for young objects small and compacts its heap; one thread helps it, not four, each of which comes to keep
 * 3 MB for itself; and nothing is compiled once more because it has run often, which nobody would notice, and which still took 3 MB more of
 * code and room for the compiler between the 50th and the 200th move.
 */
export const WORKER_NODE_FLAGS: readonly string[] = ['--optimize-for-size', '--v8-pool-size=1', '--no-opt'];

/**
 * A coordinator. It computes, so it is compiled as usual; but of its memory most is what it has thrown away and V8 has not collected yet.
 * With half the room for young objects and one helping thread, of two coordinators that shared 6,000 migrations between 1,000 hosts one
 * came to 149 MiB and the one without to 193, with the same part of the work (docs/operations.md, "Many hosts").
 */
export const COORDINATOR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=8', '--v8-pool-size=1'];
