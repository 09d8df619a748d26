/** Step `validate`: what this host says when asked whether it could take the container. Changes nothing; the saga judges. */
import { surveyTarget } from '../preflight/survey.ts';
import type { Step } from './step.ts';

export const validate: Step<'validate'> = async ({ inspection, targetBundle }, context) => {
  const survey = await surveyTarget(inspection, targetBundle, context, context.signal);
  const busyWith = survey.busyWith === context.migration ? null : survey.busyWith;
  return { survey: { ...survey, busyWith } };
};
