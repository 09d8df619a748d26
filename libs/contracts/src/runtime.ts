/** The container runtimes that have a driver, or are to have one. */
import { z } from 'zod';

export const RuntimeName = z.enum(['runc', 'docker', 'podman']);
export type RuntimeName = z.infer<typeof RuntimeName>;
