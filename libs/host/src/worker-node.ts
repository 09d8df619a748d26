/**
 * What node is told when it runs a worker. The memory of its machine belongs to containers, and it waits more than it computes (carriers
 * move the bytes, and are processes of their own): V8 keeps room for young objects small and compacts its heap; one thread helps it, not
 * four, each of which comes to keep 3 MB for itself; and nothing is compiled once more because it has run often, which nobody would notice,
 * and which still took 3 MB more of code and room for the compiler between the 50th and the 200th move (`node --v8-options`,
 * `--v8-pool-size` of node(1)). bin/cmt and packaging/cmt.sh say the same for a worker that is started by hand or as a service.
 */
export const WORKER_NODE_FLAGS: readonly string[] = ['--optimize-for-size', '--v8-pool-size=1', '--no-opt'];
