/* Mends one fault of the emulator Bochs 2.7, for scripts/emulate-avx512: it refuses AVX-512 gathers and scatters whose index register is one of 16 to 31 as
 * illegal instructions, because it takes the fifth bit of that register (EVEX.V') for a second operand. Compilers do use them. Preloaded into a program, this
 * library does what the Intel manual says of the refused instruction (volume 2, VGATHERDPS and its kin) on the registers that the signal saved, and goes on
 * behind it. Any other illegal instruction ends the program as always. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

/* The saved registers lie as XSAVE's standard format has them; a part whose bit in the header is not set is all zero and its bytes mean nothing. */
struct part { int bit, offset, size; };
static const struct part SSE = {1, 160, 16}, AVX = {2, 576, 16}, MASKS = {5, 1088, 8}, UPPER = {6, 1152, 32}, HIGH = {7, 1664, 64};
static unsigned long mended;

static void move(uint8_t *area, const struct part *part, int count, int number, uint8_t *value, int store) {
    uint64_t present;
    uint8_t *place = area + part->offset + part->size * number;
    memcpy(&present, area + 512, 8);
    if (!(present >> part->bit & 1)) {
        if (!store) {
            memset(value, 0, part->size);
            return;
        }
        memset(area + part->offset, 0, part->size * count);
        present |= (uint64_t)1 << part->bit;
        memcpy(area + 512, &present, 8);
    }
    if (store) memcpy(place, value, part->size);
    else memcpy(value, place, part->size);
}

static void vector(uint8_t *area, int number, uint8_t value[64], int store) {
    if (number >= 16) {
        move(area, &HIGH, 16, number - 16, value, store);
    } else {
        move(area, &SSE, 16, number, value, store);
        move(area, &AVX, 16, number, value + 16, store);
        move(area, &UPPER, 16, number, value + 32, store);
    }
}

static void refused(int signal_number, siginfo_t *information, void *context) {
    static const int ORDER[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint8_t *area = (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs;
    const uint8_t *code = (const uint8_t *)registers[REG_RIP];
    int operation = code[4], gather = operation >= 0x90 && operation <= 0x93, scatter = operation >= 0xA0 && operation <= 0xA3;
    (void)information;
    /* EVEX, map 0F38, prefix 66, vvvv unused, V' in use, a mask, a SIB byte. */
    if (code[0] != 0x62 || (code[1] & 7) != 2 || (code[2] & 0x7F) != 0x7D || (code[3] & 8) || !(code[3] & 7) || !(gather || scatter) || (code[5] & 7) != 4) {
        signal(signal_number, SIG_DFL);
        return;
    }
    int mode = code[5] >> 6, mask_number = code[3] & 7;
    int element = code[2] & 0x80 ? 8 : 4, index_size = operation & 1 ? 8 : 4, width = 16 << (code[3] >> 5 & 3);
    int count = width / (element > index_size ? element : index_size);
    int data_number = (code[5] >> 3 & 7) | (~code[1] >> 4 & 8) | (~code[1] & 16);
    int index_number = (code[6] >> 3 & 7) | (~code[1] >> 3 & 8) | 16;
    int base_number = (code[6] & 7) | (~code[1] >> 2 & 8), length = 7;
    uint64_t address = 0, mask, zero = 0;
    if (mode == 0 && (code[6] & 7) == 5) mode = 2;
    else address = (uint64_t)registers[ORDER[base_number]];
    if (mode == 1) {
        address += (uint64_t)((int64_t)(int8_t)code[7] * element);
        length += 1;
    } else if (mode == 2) {
        int32_t displacement;
        memcpy(&displacement, code + 7, 4);
        address += (uint64_t)(int64_t)displacement;
        length += 4;
    }
    uint8_t data[64], indices[64];
    vector(area, data_number, data, 0);
    vector(area, index_number, indices, 0);
    move(area, &MASKS, 8, mask_number, (uint8_t *)&mask, 0);
    for (int lane = 0; lane < count; lane++) {
        int64_t index;
        int32_t narrow;
        if (!(mask >> lane & 1)) continue;
        memcpy(&narrow, indices + 4 * lane, 4);
        if (index_size == 8) memcpy(&index, indices + 8 * lane, 8);
        else index = narrow;
        uint8_t *memory = (uint8_t *)(address + ((uint64_t)index << (code[6] >> 6)));
        if (gather) memcpy(data + element * lane, memory, element);
        else memcpy(memory, data + element * lane, element);
    }
    if (gather) {
        memset(data + element * count, 0, 64 - element * count);
        vector(area, data_number, data, 1);
    }
    move(area, &MASKS, 8, mask_number, (uint8_t *)&zero, 1);
    registers[REG_RIP] += length;
    mended++;
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = refused;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGILL, &action, 0);
}

__attribute__((destructor)) static void end(void) { fprintf(stderr, "guest: %lu gathers done in the emulator's stead\n", mended); }
