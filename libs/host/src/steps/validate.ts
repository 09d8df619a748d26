/** Step `validate`: what this host says when asked whether it could take the container. Changes nothing; the saga judges. */
import { surveyTarget } from '../preflight/survey.ts';
import type { Step } from './step.ts';

export const validate: Step<'validate'> = async (input, context) => ({
  survey: await surveyTarget(input, context),
});
