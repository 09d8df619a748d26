/**
 * What node is told when it runs a worker. The memory of its machine belongs to containers, and it waits more than it computes: V8 keeps
 * room for young objects small and compacts its heap (`node --v8-options`). After 70 moves 160 MB resident became 120 MB.
 * bin/cmt and packaging/cmt.sh say the same for a worker that is started by hand or as a service.
 */
export const WORKER_NODE_FLAG = '--optimize-for-size';
