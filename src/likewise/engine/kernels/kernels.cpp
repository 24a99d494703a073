// Everything that computes, compiled once for each instruction set: INSTRUCTIONS names it, VECTORS is its header.
//
// Nothing here calls a function of the C++ library that the compiler may not inline: the linker keeps one copy of such
// a function, perhaps the one with instructions that this machine lacks.
#include "encoder.h"

#include <cmath>
#include <cstring>
#include <initializer_list>
#ifdef LIKEWISE_X86
#include <immintrin.h>
#endif

namespace likewise {
namespace INSTRUCTIONS {

#include VECTORS
#include "elementwise.h"
#include "product.h"
#include "attention.h"
#include "layers.h"
#include "pooling.h"

// Texts → sentence vectors (texts, modes * hidden), or with TOKENS token vectors (tokens, hidden).
inline void encode(const Encoder& encoder, const Batch& batch, const Pooling* modes, int32_t mode_count, float* out,
                   const Observed& observed, Allocate allocate) {
    const Settings& s = encoder.settings;
    const bool gives_tokens = mode_count == 1 && modes[0] == TOKENS;
    int longest = 0;
    for (int text = 0; text < batch.texts; ++text) {
        const int length = batch.offsets[text + 1] - batch.offsets[text];
        longest = length > longest ? length : longest;
    }
    const int most_of_a_group = longest > GROUP_TOKENS ? longest : GROUP_TOKENS, all = batch.offsets[batch.texts];
    const int most_tokens = all < most_of_a_group ? all : most_of_a_group;
    Space space;
    const size_t bytes = lay_out(encoder, most_tokens, longest, nullptr, space);
    char* memory = static_cast<char*>(allocate(bytes + sizeof(int) * batch.texts));
    lay_out(encoder, most_tokens, longest, memory, space);
    int* chosen = reinterpret_cast<int*>(memory + bytes);
    // Where the pooling reads one token, the last layer computes what that token needs.
    const bool reads_one = mode_count == 1 && (modes[0] == CLS || modes[0] == LAST_TOKEN) && s.layers > 0;

    for (int first = 0, last; first < batch.texts; first = last) {
        last = first + 1;
        while (last < batch.texts && batch.offsets[last + 1] - batch.offsets[first] <= GROUP_TOKENS) ++last;
        const int start = batch.offsets[first], tokens = batch.offsets[last] - start;
        bool has_empty = false;
        for (int text = first; text < last; ++text) {
            const int length = batch.offsets[text + 1] - batch.offsets[text];
            const int skipped = batch.skipped ? batch.skipped[text] : 0;
            has_empty = has_empty || length == 0;
            chosen[text - first] = batch.offsets[text] - start +
                                   (modes[0] == LAST_TOKEN || skipped >= length ? length - 1 : skipped);
        }
        const bool is_short = reads_one && !has_empty;
        embed(encoder, batch, first, last, space);
        for (int layer = 0; layer < s.layers; ++layer)
            through_layer(encoder, layer, batch, first, last, is_short && layer + 1 == s.layers ? chosen : nullptr, space, observed);
        const int rows = is_short ? last - first : tokens;
        if (encoder.last_norm.weight) normalize_rows(space.hidden, rows, s.hidden, encoder.last_norm, s.norm_epsilon, space.hidden);
        if (gives_tokens) {
            std::memcpy(out + size_t(start) * s.hidden, space.hidden, sizeof(float) * tokens * s.hidden);
        } else if (is_short) {
            std::memcpy(out + size_t(first) * s.hidden, space.hidden, sizeof(float) * rows * s.hidden);
        } else {
            for (int text = first; text < last; ++text) {
                const int from = batch.offsets[text] - start, length = batch.offsets[text + 1] - batch.offsets[text];
                for (int mode = 0; mode < mode_count; ++mode)
                    pool(modes[mode], space.hidden + size_t(from) * s.hidden, length, batch.skipped ? batch.skipped[text] : 0,
                         s.hidden, out + (size_t(text) * mode_count + mode) * s.hidden);
            }
        }
    }
}

inline void multiply_plainly(const Product& product, const float* rows, int32_t count, float* out, Allocate allocate) {
    void* space = allocate(operand_bytes(product, count));
    const Operand operand = operand_of(product, rows, count, space);
    multiply_rows(product, operand, count, {out, size_t(product.outputs), nullptr, NONE});
}

inline size_t packed_size(int32_t inputs, int32_t outputs, Dtype dtype) {
    return size_t(panels_of(outputs)) * PANEL * blocks_of(inputs, dtype) * block_width_of(inputs, dtype) * bytes_of(dtype);
}

}  // namespace INSTRUCTIONS

#define LIKEWISE_JOINED(a, b) a##b
#define LIKEWISE_FUNCTION(name) LIKEWISE_JOINED(name, _instructions)
#define LIKEWISE_TEXT_OF(name) #name
#define LIKEWISE_TEXT(name) LIKEWISE_TEXT_OF(name)

const InstructionSet& LIKEWISE_FUNCTION(INSTRUCTIONS)() {
    using namespace INSTRUCTIONS;
    static const InstructionSet set{LIKEWISE_TEXT(INSTRUCTIONS), PANEL,           blocks_of, block_width_of, packed_size, pack,
                                    multiply_plainly,            INSTRUCTIONS::encode};
    return set;
}

}  // namespace likewise
