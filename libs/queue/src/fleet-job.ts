/** The job of a migration that is part of a drain: the order as an operator has signed it, and what it comes to. */
import { MigrationRequest, Sealed } from '@cmt/contracts';
import { z } from 'zod';

/**
 * Coordinators do not know each other's keys, so none signs for another: the order's own signature stands for every migration that
 * follows from it, and for no other (docs/decisions/0008).
 */
export const FleetJob = z.object({ v: z.literal(1), under: Sealed, request: MigrationRequest });
export type FleetJob = z.infer<typeof FleetJob>;
