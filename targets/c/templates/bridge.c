/* Whole runs of a network in one call, for lehr.targets.c.loader. */
#include "lehr_model.h"

size_t bridge_state_bytes(void)
{
    return sizeof(lehr_state);
}

size_t bridge_event_bytes(void)
{
    return sizeof(lehr_event);
}

/* Spikes and membranes of all layers, which have `sizes` neurons, after the last step. */
void bridge_read(const lehr_state *s, const size_t *sizes, uint8_t *const *spikes, int32_t *const *membranes)
{
    for (size_t layer = 0; layer < LEHR_LAYERS; layer++) {
        const uint8_t *const fired = lehr_spikes(s, layer);
        for (size_t i = 0; i < sizes[layer]; i++) {
            spikes[layer][i] = fired[i];
            membranes[layer][i] = lehr_membrane(s, layer, i);
        }
    }
}

/* Steps with inputs that follow each other, or with one that is held; what bridge_read tells after each of them, step after step. */
void bridge_run(lehr_state *s, const uint8_t *input, int held, size_t steps, const size_t *sizes, uint8_t *const *spikes,
                int32_t *const *membranes)
{
    uint8_t *fired[LEHR_LAYERS];
    int32_t *reached[LEHR_LAYERS];
    for (size_t step = 0; step < steps; step++) {
        if (held && step > 0)
            lehr_step_held(s);
        else
            lehr_step(s, input + step * LEHR_INPUT_SIZE);
        for (size_t layer = 0; layer < LEHR_LAYERS; layer++) {
            fired[layer] = spikes[layer] + step * sizes[layer];
            reached[layer] = membranes[layer] + step * sizes[layer];
        }
        bridge_read(s, sizes, fired, reached);
    }
}
